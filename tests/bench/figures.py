"""Figures as the results file holds them: a value, its unit and its spread."""

import statistics
from collections.abc import Sequence

Figure = dict[str, object]


def figure(values: Sequence[float], unit: str, digits: int = 0) -> Figure:
    """The median of several runs."""
    return {
        "value": round(statistics.median(values), digits or None),
        "unit": unit,
        "spread": [round(min(values), digits or None), round(max(values), digits or None)],
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(values: Sequence[float], share: float) -> Figure:
    """A percentile of times in milliseconds."""
    return {
        "value": round(percentile(values, share), 1),
        "unit": "ms",
        "spread": [round(min(values), 1), round(max(values), 1)],
    }
