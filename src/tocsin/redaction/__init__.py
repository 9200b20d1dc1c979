"""Pseudonyms for what a language model need not know, and nothing at all in place of secrets.

`Pseudonyms` replaces names, accounts, machines, addresses and our own domains by stable names such
as `HOST_1`, and puts the originals back into what comes back. Secrets become `SECRET_1` for good:
their values are kept nowhere.
"""

from tocsin.redaction.pseudonyms import Pseudonyms, Scope

__all__ = ["Pseudonyms", "Scope"]
