"""The reliability diagram as a picture: what was predicted beside what was true."""

from collections.abc import Sequence
from html import escape
from math import sqrt
from typing import NamedTuple

from tocsin.model import ModelMetrics

SIZE = 300
MARGIN = 46
LARGEST = 12.0
COLOURS = ("#b3261e", "#5f6b7a", "#1f6f4a")


class Series(NamedTuple):
    """One model's points."""

    name: str
    metrics: ModelMetrics


def reliability_svg(title: str, series: Sequence[Series]) -> str:
    """An SVG: a point for each bin, its area by how many decisions it stands for.

    Points on the diagonal are calibrated; below it the model was too sure of attacks.
    """
    side = SIZE + 2 * MARGIN
    height = side + 18 * len(series)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {height}" role="img" '
            f'font-family="sans-serif" font-size="11"><title>{escape(title)}</title>'
        ),
        f'<rect width="{side}" height="{height}" fill="#ffffff"/>',
        *_frame(),
    ]
    for number, one in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        parts.extend(_points(one, colour))
        y = side + 18 * number
        said = f"{one.name}: ECE {one.metrics.ece:.3f}, {one.metrics.examples} decisions"
        parts.append(f'<circle cx="{MARGIN}" cy="{y - 4}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{MARGIN + 12}" y="{y}">{escape(said)}</text>')
    return "\n".join((*parts, "</svg>")) + "\n"


def _frame() -> list[str]:
    left, bottom = MARGIN, MARGIN + SIZE
    middle = MARGIN + SIZE / 2
    lines = [
        (
            f'<rect x="{left}" y="{MARGIN}" width="{SIZE}" height="{SIZE}" fill="none" '
            'stroke="#c4c9d0"/>'
        ),
        (
            f'<line x1="{left}" y1="{bottom}" x2="{left + SIZE}" y2="{MARGIN}" stroke="#c4c9d0" '
            'stroke-dasharray="4 4"/>'
        ),
        f'<text x="{middle}" y="{bottom + 32}" text-anchor="middle">predicted probability</text>',
        (
            f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
            "share that were attacks</text>"
        ),
    ]
    for tenth in range(0, 11, 2):
        share = tenth / 10
        x, y = _place(share, 0)[0], _place(0, share)[1]
        lines.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{share:.1f}</text>')
        lines.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{share:.1f}</text>')
    return lines


def _points(one: Series, colour: str) -> list[str]:
    bins = one.metrics.reliability
    most = max((count for _, _, count in bins), default=1)
    places = [(*_place(mean, share), mean, share, count) for mean, share, count in bins]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in places)
    drawn = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>']
    for x, y, mean, share, count in places:
        radius = max(2.0, LARGEST * sqrt(count / most))
        said = f"predicted {mean:.2f}, true {share:.2f}, {count} decisions"
        drawn.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" '
            f'fill-opacity="0.55"><title>{said}</title></circle>'
        )
    return drawn


def _place(predicted: float, true: float) -> tuple[float, float]:
    return MARGIN + SIZE * predicted, MARGIN + SIZE * (1 - true)
