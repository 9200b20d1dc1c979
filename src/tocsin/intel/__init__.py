"""The intel step and the readers of indicator files."""

from tocsin.intel.formats import FORMATS, Defaults, parse_ttl, read_indicators
from tocsin.intel.step import build

__all__ = ["FORMATS", "Defaults", "build", "parse_ttl", "read_indicators"]
