"""Accepting alerts: read a body, identify each alert, make it durable, ring the bell."""

from tocsin.ingest.body import BodyKind, Item, Limits, read_body, read_item
from tocsin.ingest.gate import Gate
from tocsin.ingest.zipped import unzip

__all__ = ["BodyKind", "Gate", "Item", "Limits", "read_body", "read_item", "unzip"]
