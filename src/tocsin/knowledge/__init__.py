"""Knowledge that comes with packages, and what values mean: no state, no store."""
