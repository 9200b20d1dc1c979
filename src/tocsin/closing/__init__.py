"""Closing alerts without a person, within a bound that is proven from random samples.

`decide` is what happens to one alert, `calibrate` what the samples prove, `Autoclose` the life of a
policy from shadow mode to being switched off, `Alarm` and `shift` what switches it off.
"""

from tocsin.closing.calibration import calibrate, look_size
from tocsin.closing.decision import class_of, decide
from tocsin.closing.fresh import build
from tocsin.closing.life import Autoclose
from tocsin.closing.report import ClassReport, ClosingPreview, ClosingReport, Finding
from tocsin.closing.watch import Watch

__all__ = [
    "Autoclose",
    "ClassReport",
    "ClosingPreview",
    "ClosingReport",
    "Finding",
    "Watch",
    "build",
    "calibrate",
    "class_of",
    "decide",
    "look_size",
]
