"""Benchmarks through the front door; `make bench` runs them."""
