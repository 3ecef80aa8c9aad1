"""Image folders as batches: the same images, crops and flips on any number of processes."""
