"""Fills the figures of README and docs from `benchmarks/results/`: words and numbers cannot part.

    python -m benchmarks.render            # rewrite
    python -m benchmarks.render --check    # exit 1 where a file differs; a test does the same

A block lies between `<!-- figures: NAME -->` and `<!-- end -->`; NAME is a key of `BLOCKS`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import accuracy_tables, explain_tables, training_tables
from benchmarks.provenance import RESULTS, ROOT, load_result

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


_FIGURES = ("among_new", "new_in_catalogue", "all_in_catalogue")
_SYSTEMS = {"addrl": "**AD-DRL**"}


def make_encoders_table() -> str:
    """Local encoders: agreement with their references, and speed beside the bare forward pass."""
    result = load_result("encoders")
    lines = [
        "| encoder | compared | smallest cosine | items/s, Beam | items/s, bare "
        "| Beam / bare, clock | Beam / bare, processor |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("minilm", "efficientnet-lite0"):
        agreement, speed = result[name]["agreement"], result[name]["speed"]
        lines.append(
            f"| `{name}` | {agreement['compared']} | {agreement['smallest_cosine']:.7f} "
            f"| {_word_turns(speed, 'beam')} | {_word_turns(speed, 'bare')} "
            f"| {_word_share(speed)} | {_word_processor_share(speed)} |"
        )
    turns = result["minilm"]["speed"]["turns"]
    note = (
        f"Medians of {turns} turns in one process, in brackets the smallest and the largest; Beam "
        "/ bare is that of each turn's own ratio, of time on the clock and of processor time, "
        "which other processes on the machine do not blur."
    )
    return "\n".join([*lines, "", f"{note} Measured at {_describe(result)}."])


def _word_turns(speed: dict[str, Any], name: str) -> str:
    turns = speed[f"{name}_turns"]
    return f"{speed[f'{name}_items_per_second']:.1f} ({min(turns):.1f} to {max(turns):.1f})"


def _word_share(speed: dict[str, Any]) -> str:
    turns = zip(speed["beam_turns"], speed["bare_turns"], strict=True)
    shares = [beam / bare for beam, bare in turns]
    return f"{speed['share_of_bare']:.0%} ({min(shares):.0%} to {max(shares):.0%})"


def _word_processor_share(speed: dict[str, Any]) -> str:
    share, turns = speed["processor_share_of_bare"], speed.get("processor_share_of_bare_turns")
    return f"{share:.0%} ({min(turns):.0%} to {max(turns):.0%})" if turns else f"{share:.0%}"


def make_new_items_table() -> str:
    """Items that training has never seen, three ways."""
    result = load_result("new_items_hm")
    lines = [
        "| system | new items among themselves | new items in the whole catalogue | all items |",
        "|---|---|---|---|",
    ]
    for name, figures in result["systems"].items():
        title = _SYSTEMS.get(name, name.replace("addrl", "AD-DRL"))
        columns = " | ".join(_word_pair(figures[figure]) for figure in _FIGURES)
        lines.append(f"| {title} | {columns} |")
    users = result["num_users"]
    return "\n".join(
        [
            *lines,
            "",
            f"Recall@20 / NDCG@20, full ranking; {result['num_new_items']} of "
            f"{result['num_items']:,} items are new, {users['among_new']:,.0f} users bought one of "
            f"them in the test, {users['all_in_catalogue']:,.0f} anything. ±: standard deviation "
            f"of Recall over {len(result['provenance']['seeds'])} seeds; one seed elsewhere. "
            f"{_describe(result)}.",
        ]
    )


def make_new_users_table() -> str:
    """Users that training has never seen, by the length of the history they bring."""
    result = load_result("new_users_hm")
    lines = ["| items in the history | new users | the same users, trained with |", "|---|---|---|"]
    rows = result["recall_at_20"]
    for name in sorted(rows, key=lambda name: (not name.isdigit(), len(name), name)):
        row = rows[name]
        columns = " | ".join(_spread(row[trained]) for trained in ("new", "known"))
        lines.append(f"| {name} | {columns} |")
    return "\n".join(
        [
            *lines,
            "",
            f"Recall@20 of {result['num_users']} users, mean of "
            f"{len(result['provenance']['seeds'])} draws of their histories ± standard deviation. "
            f"{_describe(result)}.",
        ]
    )


def make_missing_modalities_table() -> str:
    """What it costs that items lack content."""
    result = load_result("missing_modalities_hm")
    lines = [
        "| missing | of the items | at serving: new items / all | at training: new items / all |",
        "|---|---|---|---|",
        f"| nothing | 0 % | {_new_and_all(result['complete'])} | "
        f"{_new_and_all(result['complete'])} |",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['modality']} | {row['share']:.0%} | {_new_and_all(row['serving'])} | "
            f"{_new_and_all(row['training'])} |"
        )
    note = "Recall@20 of new items among themselves / of all items in the whole catalogue."
    return "\n".join([*lines, "", f"{note} {_describe(result)}."])


_PRESETS_FROM_FOLDERS = ("hm", "toys", "gift_cards")


def make_runs_table() -> str:
    """The presets that read a folder: accuracy, time and memory."""
    lines = [
        "| preset | Recall@20 | NDCG@20 | first run | again | another project, same cache | "
        "of it Trainer, Evaluator, ContentEncoder (first) | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in _PRESETS_FROM_FOLDERS:
        if not (RESULTS / f"run_{name}.json").is_file():
            continue  # Not measured yet.
        runs = load_result(f"run_{name}")["runs"]
        first, parts = runs["first"], runs["first"]["components"]
        order = ("first", "second", "other_project")
        times = " | ".join(_minutes(runs[key]["seconds"]) for key in order)
        details = ", ".join(
            _minutes(parts[part]) if part in parts else "-"
            for part in ("Trainer", "Evaluator", "ContentEncoder")
        )
        lines.append(
            f"| `{name.replace('_', '-')}` | {_columns(first['metrics'])} | {times} | {details} | "
            f"{first['peak_memory_gib']:.1f} GiB |"
        )
    return "\n".join([*lines, "", f"{_describe(load_result('run_hm'))}."])


def _new_and_all(figures: dict[str, Any]) -> str:
    return " / ".join(
        f"{figures[name]['recall_at_20']:.4f}" for name in ("among_new", "all_in_catalogue")
    )


def _word_pair(figures: dict[str, Any]) -> str:
    """Recall / NDCG, of several seeds with the spread of the first."""
    recall, ndcg = figures["recall_at_20"], figures["ndcg_at_20"]
    if isinstance(recall, dict):
        return f"{_spread(recall)} / {ndcg['mean']:.4f}"
    return f"{recall:.4f} / {ndcg:.4f}"


def _spread(figure: dict[str, float]) -> str:
    if figure.get("num_seeds", 2) == 1:
        return f"{figure['mean']:.4f}"
    return f"{figure['mean']:.4f} ± {figure['std']:.4f}"


_MEASURED = ("movielens", "hm", "toys")

BLOCKS: dict[str, Callable[[], str]] = {
    **{f"results_{data}": partial(accuracy_tables.make_table, data) for data in _MEASURED},
    **{f"ablations_{data}": partial(accuracy_tables.make_ablations, data) for data in _MEASURED},
    **{f"slices_{data}": partial(accuracy_tables.make_slices, data) for data in _MEASURED},
    "steps": training_tables.make_steps,
    "growth": training_tables.make_growth,
    "time_to_accuracy": training_tables.make_time_to_accuracy,
    "encoders": make_encoders_table,
    "accuracy": make_accuracy_table,
    "agreement": make_agreement,
    "times": make_times,
    "new_items": make_new_items_table,
    "new_users": make_new_users_table,
    "runs": make_runs_table,
    "missing_modalities": make_missing_modalities_table,
    "faithfulness": explain_tables.make_faithfulness,
    "past": explain_tables.make_past,
    "preferences": explain_tables.make_preferences,
    "control": explain_tables.make_control,
    "probes": explain_tables.make_probes,
    "probes_known": explain_tables.make_known,
    "dci": explain_tables.make_dci,
    "hidden": explain_tables.make_hidden,
    "not_linear": explain_tables.make_not_linear,
    "chunk_training": explain_tables.make_training,
    "chunk_maps": explain_tables.make_maps,
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
        try:
            filled = BLOCKS[match[2]]()
        except FileNotFoundError:
            filled = accuracy_tables.NOT_MEASURED
        return f"{match[1]}{filled}\n{match[3]}"

    return _BLOCK.sub(fill, text)


def _describe(result: dict[str, Any]) -> str:
    """Where a result comes from."""
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
