"""Exact values → charts as SVG text. Labels are escaped text; nothing is rounded but the ink's coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from html import escape

FONT = "Libertinus Serif"
INK, MUTED, FILL, OWED = "#1a2733", "#7b8794", "#2f5d8a", "#b4553c"
_WIDTH, _LINE = 380, 14


def bars(shares: Sequence[tuple[str, Decimal, str]]) -> str:
    """Horizontal bars: label, value, the value as printed. What is owed points the other way, in another colour."""
    least, most = min((v for _, v, _ in shares), default=Decimal(0)), max((v for _, v, _ in shares), default=Decimal(0))
    low, high = min(least, Decimal(0)), max(most, Decimal(0))
    left, room = 84, _WIDTH - 84 - 92
    scale = Decimal(room) / ((high - low) or Decimal(1))
    zero = left - low * scale
    parts = []
    for place, (label, value, printed) in enumerate(shares):
        top = place * _LINE + 3
        x = zero + min(value, Decimal(0)) * scale
        parts += [
            _text(left - 5, top + 8, label, "end"),
            f'<rect x="{_at(x)}" y="{top}" width="{_at(abs(value) * scale)}" height="{_LINE - 5}" fill="{FILL if value >= 0 else OWED}"/>',
            _text(_WIDTH - 2, top + 8, printed, "end"),
        ]
    height = len(shares) * _LINE + 4
    parts.append(f'<line x1="{_at(zero)}" y1="0" x2="{_at(zero)}" y2="{height - 2}" stroke="{INK}" stroke-width="0.6"/>')
    return _svg(height, parts)


def line(points: Sequence[tuple[date, Decimal]], first: date, last: date, lowest: str, highest: str) -> str:
    """A value per day from `first` to `last`; a missing day is a gap, not a zero. The axis begins at the lowest value and says so."""
    left, top, width, height = 84, 6, _WIDTH - 84 - 6, 92
    values = [value for _, value in points]
    low, high = min(values), max(values)
    days = Decimal(max((last - first).days, 1))

    def spot(day: date, value: Decimal) -> str:
        x = left + Decimal(width) * (day - first).days / days
        y = top + Decimal(height) * (high - value) / (high - low) if high > low else top + Decimal(height) / 2
        return f"{_at(x)} {_at(y)}"

    frame = f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="{MUTED}" stroke-width="0.4"/>'
    drawn = []
    for run in _runs(points):
        spots = [spot(day, value) for day, value in run]
        drawn.append(f'<path d="M {" L ".join(spots)}" fill="none" stroke="{FILL}" stroke-width="1.2" stroke-linejoin="round"/>')
        drawn += [f'<circle cx="{s.split()[0]}" cy="{s.split()[1]}" r="1.4" fill="{FILL}"/>' for s in spots if len(run) == 1]
    labels = [
        _text(left - 5, top + 8, highest, "end"),
        _text(left - 5, top + height, lowest if high > low else "", "end"),
        _text(left, top + height + 11, f"{first:%d %b %Y}", "start"),
        _text(left + width, top + height + 11, f"{last:%d %b %Y}", "end"),
    ]
    return _svg(top + height + 16, [frame, *drawn, *labels])


def _runs(points: Sequence[tuple[date, Decimal]]) -> list[list[tuple[date, Decimal]]]:
    """Days that follow each other, together."""
    runs: list[list[tuple[date, Decimal]]] = []
    for day, value in points:
        if runs and (day - runs[-1][-1][0]).days == 1:
            runs[-1].append((day, value))
        else:
            runs.append([(day, value)])
    return runs


def _svg(height: int, parts: Sequence[str]) -> str:
    body = "".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">{body}</svg>'


def _text(x: int, y: int, words: str, anchor: str) -> str:
    shown = escape("".join(c for c in words if c.isprintable()))
    return f'<text x="{x}" y="{y}" font-family="{FONT}" font-size="8.5" fill="{INK}" text-anchor="{anchor}">{shown}</text>'


def _at(x: Decimal | int) -> str:
    return f"{Decimal(x):.3f}"
