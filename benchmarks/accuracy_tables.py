"""The tables of docs/results.md, out of `results/accuracy.json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.provenance import load_result

NOT_MEASURED = "Not measured yet."
METRICS = ("recall_at_20", "ndcg_at_20")
# What is compared with the peers; every other system is an ablation.
TITLES = {
    "most_popular": "most popular",
    "item_knn": "ItemKNN",
    "ease": "EASE",
    "content_blend": "blend with content, closed form",
    "tfrs_two_tower": "two-tower as in the TFRS tutorial",
    "keras_rs_two_tower": "two-tower as in the keras-rs example",
    "macrid_vae": "MacridVAE",
    "paper": "AD-DRL, the paper's recipe",
    "default": "**AD-DRL, our default**",
}


def make_table(data: str) -> str:
    """One data set: our presets beside the baselines.

    Args:
        data: Name of the preset.
    """
    result = load_result("accuracy")
    rows = [row for row in result["rows"] if row["data"] == data]
    if not rows:
        return NOT_MEASURED
    lines = ["| system | Recall@20 | NDCG@20 | seeds | seconds |", "|---|---|---|---|---|"]
    for name, title in TITLES.items():
        own = [row for row in rows if row["system"] == name]
        if own:
            figures = " | ".join(_word_seeds(own, metric) for metric in METRICS)
            seeds = len({row["seed"] for row in own})
            seconds = np.mean([row["seconds"] for row in own])
            lines.append(f"| {title} | {figures} | {seeds} | {seconds:.0f} |")
    return "\n".join([*lines, "", _describe([row for row in rows if row["system"] in TITLES])])


def make_ablations(data: str) -> str:
    """One data set: what each change of our model gives or takes.

    Args:
        data: Name of the preset.
    """
    result = load_result("accuracy")
    lines = [
        "| changed | Recall@20 | difference | NDCG@20 | difference | commit |",
        "|---|---|---|---|---|---|",
    ]
    found: dict[str, dict[str, str]] = {}
    machines = set()
    for row in result["differences"]:
        if row["data"] == data and row["system"] not in TITLES:
            of = next(
                each
                for each in result["rows"]
                if all(each[key] == row[key] for key in ("data", "system", "metric"))
            )
            figures = found.setdefault(row["system"], {"commit": of["commit"]})
            figures[row["metric"]] = f"{of['value']:.4f} | {_word_difference(row)}"
            machines.add(of["machine"])
    lines += [
        f"| {name.replace('_', ' ')} | "
        f"{' | '.join(figures[column] for column in (*METRICS, 'commit'))} |"
        for name, figures in sorted(found.items())
    ]
    if not found:
        return NOT_MEASURED
    note = (
        "One seed. In brackets the 95 % interval of a paired bootstrap over the test users; bold "
        f"where it leaves out 0. The difference is from the default at that commit; "
        f"{', '.join(sorted(machines))}."
    )
    return "\n".join([*lines, "", note])


def make_slices(data: str) -> str:
    """One data set: accuracy where little is known and where much is.

    Args:
        data: Name of the preset.
    """
    rows = [row for row in load_result("accuracy").get("slices", []) if row["data"] == data]
    reference = [row for row in rows if row["system"] == "default"]
    if not reference:
        return NOT_MEASURED
    columns = sorted(reference, key=lambda row: (row["by"] != "users", row["third"]))
    words = {"users": "users with {} items", "items": "items with {} users"}
    titles = [words[row["by"]].format(_word_range(row["low"], row["high"])) for row in columns]
    lines = [f"| system | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    same = ("by", "third", "low", "high", "size")
    for name, title in TITLES.items():
        # What was measured on other borders, as on other data, is not beside the rest.
        found = {
            tuple(row[key] for key in same): row["recall_at_20"]
            for row in rows
            if row["system"] == name
        }
        figures = [found.get(tuple(row[key] for key in same)) for row in columns]
        if None not in figures:
            lines.append(f"| {title} | {' | '.join(f'{figure:.4f}' for figure in figures)} |")
    sizes = " / ".join(f"{row['size']:,}" for row in columns)
    commits = ", ".join(sorted({row["commit"] for row in rows}))
    note = (
        "Recall@20, first seed. Thirds of the test users by the items that they are known to have, "
        "and of the test interactions by the users that the item is known to have (of a user's "
        f"relevant items the share in the slice counts). Users and interactions: {sizes}. "
        f"Commit {commits}."
    )
    return "\n".join([*lines, "", note])


def _word_range(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


def _word_seeds(rows: Iterable[dict[str, Any]], metric: str) -> str:
    values = [row["value"] for row in rows if row["metric"] == metric]
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def _word_difference(row: dict[str, Any]) -> str:
    word = f"{row['difference']:+.4f}"
    word = f"**{word}**" if row["is_real"] else word
    return f"{word} ({row['low']:+.4f} to {row['high']:+.4f})"


def _describe(rows: list[dict[str, Any]]) -> str:
    commits = ", ".join(sorted({row["commit"] for row in rows}))
    machines = ", ".join(sorted({row["machine"] for row in rows}))
    return (
        "Test, full ranking; chosen on validation, fitted on train and validation; ±: standard "
        f"deviation over the seeds. Seconds: choosing, fitting and ranking. Commit {commits}; "
        f"{machines}."
    )
