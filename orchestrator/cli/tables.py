"""Tables for people. Words fold where the terminal ends; numbers are never shortened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

_NARROWEST_WORDS = 8
_GAP = 2


def words(heading: str) -> Column:
    """A column whose text is broken into lines where it must be."""
    return Column(heading, overflow="fold")


def whole(heading: str) -> Column:
    """A column whose text stays in one piece: ids that people copy."""
    return Column(heading, no_wrap=True)


def numbers(heading: str) -> Column:
    """A column of numbers; ``heading`` may have several lines."""
    return Column(heading, justify="right", no_wrap=True)


def new_table(columns: Iterable[Column], *, title: str = "") -> Table:
    """A table without rows yet."""
    return Table(
        *columns,
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )


def facts(named: Mapping[str, str | None]) -> Table:
    """A fact on each line; those that are empty are left out."""
    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, _GAP, 0, 0))
    for name, fact in named.items():
        if fact:
            table.add_row(name, fact)
    return table


def print_table(table: Table) -> None:
    """Print ``table``, wider than the terminal if its numbers need that."""
    # Cells are data: brackets in a name are no markup.
    plain = Console(markup=False, emoji=False, highlight=False)
    needed = sum(_narrowest(column) + _GAP for column in table.columns)
    plain.width = max(plain.width, needed)
    plain.print(table)


def _narrowest(column: Column) -> int:
    lines = [line for cell in (column.header, *column.cells) for line in str(cell).split("\n")]
    widest = max(map(cell_len, lines), default=0)
    return widest if column.no_wrap else min(widest, _NARROWEST_WORDS)
