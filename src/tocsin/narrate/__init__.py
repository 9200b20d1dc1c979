"""The narrator: a language model's second opinion on alerts where it could change the outcome.

A model reads a fenced, pseudonymous, capped dossier and answers with one record whose every claim
is checked against the evidence. It can raise a risk, ask for a person and explain. It cannot lower,
close or act: its record has no word for that, and `model.Change` cannot hold it.
"""

from tocsin.narrate.narrator import Narrator
from tocsin.narrate.value import Value, selection, unasked, value

__all__ = ["Narrator", "Value", "selection", "unasked", "value"]
