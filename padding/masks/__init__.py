"""Holes in the input and images on a canvas (Section 3, Eqs. 1 to 3)."""
