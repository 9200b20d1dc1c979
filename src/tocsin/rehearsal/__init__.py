"""Triage over files, in memory: learning from labelled alerts, and how good it is on others."""

from tocsin.rehearsal.steps import Rehearsal

__all__ = ["Rehearsal"]
