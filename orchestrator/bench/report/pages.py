"""Figures as Markdown, as plain data, and as one HTML page that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from html import escape
from typing import Any

from orchestrator.bench.report.figures import Figure, Line, number

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
img { width: 100%; min-width: 36rem; height: auto; background: white; border-radius: 6px; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
section { margin-bottom: 3rem; }
h2, summary { overflow-wrap: anywhere; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; border-bottom: 1px solid #8884; }
td.number, th.number { text-align: right; }
th:last-child, td:last-child { padding-right: 0; }
tr.ours { font-weight: 600; }
.note { color: light-dark(#5b6470, #a3acb8); }
@media (max-width: 40rem) {
  table { font-size: .8rem; }
  th:first-child, td:first-child {
    position: sticky; left: 0; min-width: 8rem; background: Canvas; overflow-wrap: anywhere;
  }
}
"""


def as_markdown(figures: Sequence[Figure]) -> str:
    """A table for each figure, and one more for each curve."""
    parts = []
    for figure in figures:
        parts.append(f"## {figure.title}\n\n{figure.note}")
        for grid in _grids(figure):
            lines = [f"**{grid.title}**", ""] if grid.title else []
            lines += [
                f"| {' | '.join(grid.heading)} |",
                f"|---{'|---:' * (len(grid.heading) - 1)}|",
            ]
            for name, *cells in grid.rows:
                shown = name.replace("|", "\\|")
                shown = f"**{shown}**" if name in grid.ours else shown
                lines.append(f"| {' | '.join((shown, *cells))} |")
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def as_plain(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [asdict(figure) for figure in figures]


def as_html(figures: Sequence[Figure], images: Sequence[bytes]) -> str:
    """One page with the pictures inside: no scripts, nothing is loaded from anywhere."""
    parts = []
    for figure, image in zip(figures, images, strict=True):
        source = f"data:image/png;base64,{b64encode(image).decode()}"
        parts.append(
            f"<section><h2>{escape(figure.title)}</h2>\n"
            f'<p class="note">{escape(figure.note)}</p>\n'
            f'<div class="wide"><img src="{source}" '
            f'alt="{escape(figure.up)} over {escape(figure.across)}"></div>\n'
            f"{''.join(map(_html_grid, _grids(figure)))}</section>"
        )
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>What policies cost and buy</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>What policies cost and buy</h1>\n{body}\n</body></html>\n"
    )


@dataclass(frozen=True, slots=True)
class _Grid:
    """A table of a figure.

    Attributes:
        title: What it is called if it is not the figure's first; then it is folded away.
        heading: Its columns, the first of them for names.
        rows: Their cells.
        ours: The names of the rows of what is measured.
    """

    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ours: frozenset[str]


def _grids(figure: Figure) -> list[_Grid]:
    """A column for each place where all lines have one; else a row for each mark and each curve."""
    ours = frozenset(line.name for line in figure.lines if line.ours)
    places = {tuple(x for x, _ in line.points) for line in figure.lines}
    if len(places) == 1 and len(figure.lines[0].points) > 1:
        heading = (f"{figure.up}, by {figure.across}", *map(number, places.pop()))
        columns = zip(*([y for _, y in line.points] for line in figure.lines), strict=True)
        return [_Grid("", heading, _rows([line.name for line in figure.lines], *columns), ours)]
    marks = [line for line in figure.lines if len(line.points) == 1]
    curves = [line for line in figure.lines if len(line.points) > 1]
    heading = ("", figure.across, figure.up)

    def rows_of(lines: Sequence[Line]) -> tuple[tuple[str, ...], ...]:
        points = [(line.name, x, y) for line in lines for x, y in line.points]
        return _rows(*zip(*points, strict=True))

    found = [_Grid("", heading, rows_of(marks), ours)] if marks else []
    return found + [_Grid(line.name, heading, rows_of([line]), ours) for line in curves]


def _rows(names: Sequence[str], *columns: Sequence[float]) -> tuple[tuple[str, ...], ...]:
    """Names with their numbers, of which each column has as many decimals as one of it needs."""
    shown = []
    for column in columns:
        exact = [Decimal(number(value)) for value in column]
        decimals = max(0, *(-int(value.as_tuple().exponent) for value in exact))
        shown.append([f"{value:.{decimals}f}" for value in exact])
    return tuple(zip(names, *shown, strict=True))


def _html_grid(grid: _Grid) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        name, *numbers = map(escape, row)
        rest = "".join(f'<{tag} class="number">{each}</{tag}>' for each in numbers)
        return f"<{tag}>{name}</{tag}>{rest}"

    rows = "\n".join(
        f'<tr class="{"ours" if row[0] in grid.ours else "beside"}">{cells(row, "td")}</tr>'
        for row in grid.rows
    )
    table = f'<div class="wide"><table><tr>{cells(grid.heading, "th")}</tr>\n{rows}\n</table></div>'
    if not grid.title:
        return table
    return f"<details><summary>{escape(grid.title)}</summary>{table}</details>"
