"""Tables for people, in colour at a terminal. `NO_COLOR` and pipes get plain text."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A pipe has no width, and a log that was cut at 80 columns has lost what it was kept for.
_WIDTH_OF_A_PIPE = 240
_SOURCES = {
    "user": "known user",
    "history": "from the history given",
    "prior": "unknown user: popular items",
}
_LONGEST_TITLE = 44
# Fewer columns break a title into single words.
_SHORTEST_TITLE = 16
# Below this width of a terminal the values would squeeze the titles out.
WIDTH_WITH_VALUES = 120


def make_console(stream: TextIO | None = None) -> Console:
    """Makes a console on a stream; the standard output where None."""
    stream = stream or sys.stdout
    is_terminal = stream.isatty()
    # Guesses such as highlighting numbers in titles would be noise.
    return Console(
        file=stream,
        width=None if is_terminal else _WIDTH_OF_A_PIPE,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=False,
    )


def make_table(title: str = "") -> Table:
    """Makes an empty table in the style of all others."""
    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )


def make_recommendations_table(
    answer: Any,
    titles: Mapping[str, str],
    before: Mapping[str, int] | None = None,
    caption: str = "",
    show_values: bool = True,
    width: int | None = None,
) -> Table:
    """Makes the table of one user's list.

    Rank, item and score are always whole. What does not fit gives way in this order: the values,
    then the columns of the contributions, which become one column of text.

    Args:
        answer: `serving.results.Recommendations`.
        titles: Title by item id; the ids alone where there is none.
        before: Rank by item id in another list, to show how the items moved; an item that it
            lacks is marked as new.
        caption: What is special about this list, for the title.
        show_values: Whether to show the items' values, which need some 40 columns.
        width: Columns of the console; None for no limit.

    Returns:
        One row an item: rank, title, score, what each attribute adds, and the item's values.
    """

    def make(is_stacked: bool, has_values: bool) -> Table:
        return _make_list(answer, titles, before, caption, is_stacked, has_values)

    if width is None:
        return make(False, show_values)
    if show_values and width >= WIDTH_WITH_VALUES:
        table = make(False, True)
        if _measure(table) <= width:
            return table
    table = make(False, False)
    return table if _measure(table) <= width else make(True, False)


def _make_list(
    answer: Any,
    titles: Mapping[str, str],
    before: Mapping[str, int] | None,
    caption: str,
    is_stacked: bool,
    has_values: bool,
) -> Table:
    names = list(answer.items[0].contributions) if answer.items else []
    table = make_table(_make_list_title(answer, caption))
    shown = [_name_item(item.item_id, titles) for item in answer.items]
    shortest = min(_SHORTEST_TITLE, max(map(len, shown), default=0))
    _add_list_columns(table, names, shortest, before is not None, is_stacked, has_values)
    for rank, item in enumerate(answer.items, start=1):
        moved = [] if before is None else [_format_move(rank, before.get(item.item_id))]
        added = [_format_contribution(item.contributions[name]) for name in names]
        table.add_row(
            str(rank),
            *moved,
            shown[rank - 1],
            f"{item.score:.3f}",
            *([_stack_contributions(item.contributions)] if is_stacked else added),
            *([_format_values(item.attribute_values)] if has_values else []),
        )
    if not answer.items:
        table.add_row("–", *(["–"] if before is not None else []), "nothing is left", "–")
    return table


def _name_item(item_id: str, titles: Mapping[str, str]) -> str:
    title = titles.get(item_id)
    return f"{title} ({item_id})" if title else item_id


def _make_list_title(answer: Any, caption: str) -> str:
    user = answer.user_id
    if len(user) > _LONGEST_TITLE:
        user = user[: _LONGEST_TITLE - 1] + "…"
    whose = f"user {user}" if user else "no user"
    source = _SOURCES.get(answer.source, answer.source)
    caption = f", {caption}" if caption else ""
    return f"{whose} ({source}){caption}, model version {answer.model_version}"


def _add_list_columns(
    table: Table,
    names: Sequence[str],
    shortest: int,
    has_before: bool,
    is_stacked: bool,
    has_values: bool,
) -> None:
    table.add_column("rank", justify="right", no_wrap=True)
    if has_before:
        table.add_column("before", justify="right", no_wrap=True)
    # In a narrow terminal the texts are wrapped, never the figures.
    table.add_column("item", min_width=shortest, max_width=_LONGEST_TITLE)
    table.add_column("score", justify="right", style="bold", no_wrap=True)
    if is_stacked:
        table.add_column("adds")
    # The names, not the labels: they are what --weight and --want take.
    for name in [] if is_stacked else names:
        table.add_column(name, justify="right", no_wrap=True)
    if has_values:
        table.add_column("values")


def _measure(table: Table) -> int:
    """Returns the columns that a table needs at least, without cutting anything."""
    console = Console(width=_WIDTH_OF_A_PIPE)
    return table.__rich_measure__(console, console.options).minimum


def make_rows_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]], text_columns: int = 1
) -> Table:
    """Makes a table whose first columns are text and whose others are figures.

    Args:
        title: Heading of the table.
        columns: Headings of the columns.
        rows: Cells, as many a row as there are columns.
        text_columns: How many columns are aligned to the left.
    """
    table = make_table(title)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < text_columns else "right")
    for row in rows:
        table.add_row(*row)
    return table


def format_verdict(passed: bool) -> Text:
    """Formats whether a gate lets a model pass."""
    return Text("passed", style="green") if passed else Text("REFUSED", style="bold red")


def format_seconds(seconds: float) -> str:
    """Formats a duration: seconds below two minutes, minutes and seconds above."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def _format_values(values: Mapping[str, str]) -> str:
    return " · ".join(value or "–" for value in values.values())


def _format_contribution(value: float, digits: int = 3) -> Text:
    """Formats a contribution: green where it argues for the item, red where against."""
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        return Text("0", style="dim")
    return Text(text, style="green" if value > 0 else "red")


def _stack_contributions(contributions: Mapping[str, float]) -> Text:
    """Formats all contributions as one text, such as `year +0.16, genre -0.51`."""
    text = Text()
    for name, value in contributions.items():
        text.append(f"{', ' if text else ''}{name} ")
        text.append(_format_contribution(value, digits=2))
    return text


def _format_move(rank: int, before: int | None) -> Text:
    if before is None:
        return Text("new", style="cyan")
    if before == rank:
        return Text(f"{before}  ", style="dim")
    up = rank < before
    return Text(f"{before} {'↑' if up else '↓'}", style="cyan" if up else "dim")
