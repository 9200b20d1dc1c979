"""Faults under load on real servers, for a bounded time; `make chaos` runs them."""
