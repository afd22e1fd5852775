"""Curves as an SVG, for the manual: a panel for each quantity over one axis, with the bound that it is held to.

Drawn by hand: a library for it would be the largest dependency here. It shows on light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 34, 36
TICKS = 4


@dataclass(frozen=True)
class Panel:
    """One quantity: what it is, its values, and what it may be at the most."""

    title: str
    values: Sequence[float]
    most: float


def svg(axis: str, places: Sequence[float], panels: Sequence[Panel]) -> str:
    """All panels beside each other; `places` are where on the axis the values were measured."""
    drawn = "".join(_panel(axis, places, panel, WIDTH * number) for number, panel in enumerate(panels))
    wide = WIDTH * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {HEIGHT}" width="{wide}" height="{HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="#7a7a7a">\n{drawn}</svg>\n'
    )


def _panel(axis: str, places: Sequence[float], panel: Panel, offset: int) -> str:
    top = _ceiling(max(*panel.values, panel.most))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(place: float) -> float:
        return LEFT + (right - LEFT) * place / max(places)

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * value / top

    lines = [f'<text x="{LEFT}" y="16" font-size="13" font-weight="600">{escape(panel.title)}</text>']
    for number in range(TICKS + 1):
        value = top * number / TICKS
        lines.append(
            f'<path d="M{LEFT} {y(value):.1f}H{right}" stroke="#7a7a7a" stroke-opacity=".25"/>'
            f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for place in places:
        lines.append(f'<text x="{x(place):.1f}" y="{bottom + 16}" text-anchor="middle">{place:g}</text>')
    lines.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(axis)}</text>')
    lines.append(
        f'<path d="M{LEFT} {y(panel.most):.1f}H{right}" stroke="#c2410c" stroke-dasharray="5 4"/>'
        f'<text x="{right}" y="{y(panel.most) - 5:.1f}" text-anchor="end" fill="#c2410c">at most {panel.most:g}</text>'
    )
    points = [(x(place), y(value)) for place, value in zip(places, panel.values, strict=True)]
    lines.append(
        f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="none" stroke="#2563eb" stroke-width="2"/>'
    )
    lines += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="#2563eb"/>' for a, b in points]
    return f'<g transform="translate({offset} 0)">\n' + "\n".join(lines) + "\n</g>\n"


def _ceiling(value: float) -> float:
    """The next round number."""
    step = 1.0
    while step > value and value > 0:
        step /= 10
    while step * 10 < value:
        step *= 10
    return next(step * round_ for round_ in (1, 1.2, 1.6, 2, 4, 6, 8, 10) if step * round_ >= value)
