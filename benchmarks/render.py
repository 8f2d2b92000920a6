"""Fills the figures of README and docs from `benchmarks/results/`: words and numbers cannot part.

    python -m benchmarks.render            # rewrite
    python -m benchmarks.render --check    # exit 1 where a file differs; a test does the same

A block lies between `<!-- figures: NAME -->` and `<!-- end -->`; NAME is a key of `BLOCKS`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.provenance import ROOT, load_result

_BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TITLES = {"most_popular": "most popular", "item_knn": "ItemKNN", "ease": "EASE"}


def make_accuracy_table() -> str:
    """MovieLens: the served model beside the baselines."""
    result = load_result("movielens")
    rows = [(_TITLES[name], result["baselines"][name]) for name in _TITLES]
    rows.append(("**AD-DRL, as served**", result["served"]))
    lines = ["| model | Recall@20 | NDCG@20 |", "|---|---|---|"]
    lines += [f"| {name} | {_columns(row)} |" for name, row in rows]
    users = result["served"]["num_users"]
    return "\n".join([*lines, "", f"{users} test users, full ranking, {_describe(result)}."])


def make_agreement() -> str:
    """What the Evaluator says beside what the server returned, and additivity."""
    result = load_result("movielens")
    evaluator, served, additivity = result["evaluator"], result["served"], result["additivity"]
    return (
        f"Evaluator: {_word(evaluator)}; lists that the server returned, scored from scratch: "
        f"{_word(served)}. Largest difference between a score and the sum of its contributions "
        f"over {additivity['pairs']:,} random pairs: {additivity['largest_error_explain']:.1e}."
    )


def make_times() -> str:
    """Set-up and run times on a fresh clone."""
    result = load_result("first_run")
    seconds = result["seconds"]
    times = {name: _minutes(value) for name, value in seconds.items()}
    return (
        f"Measured once on a fresh clone ({_describe(result)}): set-up {times['setup']}, first "
        f"`make run` {times['first_run']}, second {times['second_run']}. Times vary with machine "
        "and network."
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "accuracy": make_accuracy_table,
    "agreement": make_agreement,
    "times": make_times,
}


def render(text: str) -> str:
    """Returns `text` with every block filled.

    Raises:
        ValueError: A block has a name that is not in `BLOCKS`.
    """

    def fill(match: re.Match[str]) -> str:
        if match[2] not in BLOCKS:
            known = ", ".join(BLOCKS)
            raise ValueError(f"No such figures. Received: {match[2]!r}. Known: {known}")
        return f"{match[1]}{BLOCKS[match[2]]()}\n{match[3]}"

    return _BLOCK.sub(fill, text)


def _describe(result: dict[str, Any]) -> str:
    provenance = result["provenance"]
    seed = f"seed {provenance['seed']}, " if "seed" in provenance else ""
    return f"commit {provenance['commit']}, {seed}{provenance['machine']}"


def _columns(row: dict[str, float]) -> str:
    return f"{row['recall_at_20']:.4f} | {row['ndcg_at_20']:.4f}"


def _word(row: dict[str, float]) -> str:
    return f"Recall@20 {row['recall_at_20']:.4f}, NDCG@20 {row['ndcg_at_20']:.4f}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def main() -> None:
    """Rewrites or checks README.md and docs/*.md."""
    check = "--check" in sys.argv[1:]
    stale = []
    for path in [ROOT / "README.md", *sorted(Path(ROOT, "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        filled = render(text)
        if filled == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if not check:
            path.write_text(filled, encoding="utf-8")
    if check and stale:
        files = ", ".join(stale)
        sys.exit(f"Figures differ from the results in {files}. Run `python -m benchmarks.render`.")


if __name__ == "__main__":
    main()
