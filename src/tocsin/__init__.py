"""Tocsin: security alert triage that says why, and can prove it."""

__version__ = "0.1.0"
