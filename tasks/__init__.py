"""What is learned: a loss, counts, a row. No other room with torch in it knows a metric."""
