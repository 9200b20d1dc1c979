"""Migrations, one module each, that run on both databases."""
