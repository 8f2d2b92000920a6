"""The table of recommendations in terminals of any width."""

import io

import pytest
from rich.console import Console

from serving.results import Recommendations, RecommendedItem
from tfx_pipeline import tables

NAMES = ("year", "genre", "studio", "content", "residual", "memory")
TITLES = {"1259": "Stand by Me, or the Longest Title of Them All", "7": "Sabrina"}


def _make_answer(user="42"):
    added = dict(zip(NAMES, (0.164, 0.512, -0.034, 1.203, 0.0004, 10.25), strict=True))
    values = {"year": "1980-1989", "genre": "Adventure|Comedy|Drama", "studio": ""}
    items = [RecommendedItem(item, 12.345, added, values) for item in TITLES]
    return Recommendations(user, "user", items, 17)


def _render(width, answer=None, **settings):
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    table = tables.make_recommendations_table(
        answer or _make_answer(), TITLES, width=console.width, **settings
    )
    console.print(table)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return lines


@pytest.mark.parametrize("before", [None, {"7": 12}])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_figure_and_no_title_is_cut(width, before):
    lines = _render(width, before=before)
    words = " ".join(lines).split()
    assert "…" not in "".join(lines)
    assert words.count("12.345") == 2
    assert {"rank", "item", "score", "Sabrina", "(7)", "Longest", *TITLES["1259"].split()} <= {
        *words
    }
    heading = next(line for line in lines if line.startswith("rank"))
    is_stacked = "adds" in heading.split()
    assert is_stacked == (width < 120)
    figure = "+0.16" if is_stacked else "+0.164"
    assert sum(word.rstrip(",") == figure for word in words) == 2


def test_columns_stay_where_they_fit():
    added = {"year": 0.164, "genre": 0.512}
    answer = Recommendations("42", "user", [RecommendedItem("1259", 1.5, added, {})], 17)
    heading = next(line for line in _render(60, answer) if line.startswith("rank"))
    assert heading.split() == ["rank", "item", "score", "year", "genre"]


def test_stacked_contributions_keep_their_names_and_order():
    item_column = " ".join(" ".join(_render(60)).split())
    for name, figure in zip(
        NAMES, ("+0.16", "+0.51", "-0.03", "+1.20", "0", "+10.25"), strict=True
    ):
        assert name in item_column and figure in item_column
    positions = [item_column.index(name) for name in NAMES]
    assert positions == sorted(positions)


@pytest.mark.parametrize(("width", "has_values"), [(100, False), (120, True), (240, True)])
def test_values_are_the_first_to_go(width, has_values):
    text = "\n".join(_render(width))
    assert ("values" in text) == has_values
    assert "+0.512" in text


def test_values_go_too_where_many_attributes_leave_no_room():
    added = dict.fromkeys((f"attribute{number}" for number in range(8)), 0.5)
    item = RecommendedItem("7", 4.0, added, dict.fromkeys(added, "a" * 12))
    answer = Recommendations("42", "user", [item], 17)
    heading = next(line for line in _render(125, answer) if line.startswith("rank"))
    assert "values" not in heading and "attribute7" in heading


def test_a_very_long_user_id_is_shortened_in_the_title():
    title = _render(120, _make_answer("u" * 5000))[0]
    assert title.startswith("user uuuu") and "u…" in title and "model version 17" in title
