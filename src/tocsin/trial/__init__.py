"""Learned models on trial: split, compare, describe. What fits them is handed in."""
