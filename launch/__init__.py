"""Many runs: expand a sweep and start what is missing; needs no torch."""
