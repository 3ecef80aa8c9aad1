"""What every floor may use: errors, files, pools of workers; the standard library alone."""
