"""From run directories to the paper's tables; needs no torch."""
