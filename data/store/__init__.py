"""Where the bytes are: folders, tars, and the index's cache; no torch."""
