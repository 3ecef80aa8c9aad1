"""What changes speed and never a number: scaling the border alone, and when that may be done."""
