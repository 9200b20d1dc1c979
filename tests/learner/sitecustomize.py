"""Gives processes of tests a small `tocsin.learn` where the real one is not there."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

SMALL = Path(__file__).with_name("small.py")


class LastResort(MetaPathFinder):
    """Asked after all others, so the real mathematics wins."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return spec_from_file_location(fullname, SMALL) if fullname == "tocsin.learn" else None


sys.meta_path.append(LastResort())
