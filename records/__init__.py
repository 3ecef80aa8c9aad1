"""Run directories: what a run leaves behind, and the only thing that results are made from."""
