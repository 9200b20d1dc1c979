"""`python -m tocsin`."""

from tocsin.cli.main import run

run()
