"""The tables of docs/training.md, out of what `make bench-training` measured."""

from __future__ import annotations

from typing import Any

from benchmarks.curves import find_median_time, find_time
from benchmarks.growth import CANDIDATES, EPOCHS
from benchmarks.provenance import load_result
from benchmarks.step_time import NEGATIVES

_STEPS = {
    "softmax": "softmax over the catalogue",
    "softmax_without_memory": "softmax, without a memory",
    "sampled_softmax": f"sampled softmax, {NEGATIVES['sampled_softmax']:,}",
    "in_batch_softmax": "in-batch softmax",
    "bpr": f"BPR, {NEGATIVES['bpr']}",
}


def make_steps() -> str:
    """A step of each loss beside its bare matrix products."""
    result = load_result("step_time")
    lines = [
        "| data | loss | step | all products, step / products | scores alone, step / products "
        "| making a batch |",
        "|---|---|---|---|---|---|",
    ]
    for data, found in result["presets"].items():
        for name, title in _STEPS.items():
            step = found["steps"][name]
            lines.append(
                f"| {data} | {title} | {step['step_ms']:.0f} ms "
                f"| {step['floor_ms']:.0f} ms, {step['ratio']:.2f} "
                f"| {step['scores_floor_ms']:.0f} ms, {step['scores_ratio']:.2f} "
                f"| {step['input_ms']:.1f} ms |"
            )
    size = next(iter(result["presets"].values()))["batch_size"]
    waits = ", ".join(
        f"{found['waiting_for_input']['share']:.1%} ({data})"
        for data, found in result["presets"].items()
    )
    shapes = "; ".join(
        f"{data} {found['num_items']:,} items, {found['dim']} dimensions, memory "
        f"{found['memory_size']}"
        for data, found in result["presets"].items()
    )
    note = (
        f"Medians of {result['provenance']['turns']} turns, step and products in turn, on "
        f"{result['provenance']['cores']} of the cores; batches of {size} users; {shapes}. By "
        f"TensorFlow's profiler a step waits for its batch for {waits} of its time. "
        f"Commit {result['provenance']['commit']}; {result['provenance']['machine']}."
    )
    return "\n".join([*lines, "", note])


def make_growth() -> str:
    """What training costs as one of users, items and interactions grows."""
    result = load_result("growth")
    lines = [
        "| times | items | users | interactions | start | new items, placed in "
        "| an epoch, softmax | sampled "
        "| peak memory, softmax | sampled | Recall@20 of the start | softmax | sampled |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    sizes: dict[tuple[str, int], dict[str, Any]] = {}
    for case in result["cases"]:
        sizes.setdefault((case["axis"], case["factor"]), {})[case["kind"]] = case
    for (axis, factor), kinds in sizes.items():
        full, sampled = kinds["softmax"], kinds["sampled_softmax"]
        name = "base" if factor == 1 else f"{axis} × {factor}"
        interactions = f"{sampled['interactions']:,}" if "interactions" in sampled else "?"
        figures = [
            _get(sampled, "seconds", "start", "{:.0f} s"),
            f"{sampled.get('new_items', 0):,}, {_get(sampled, 'seconds', 'placing', '{:.0f} s')}",
            _get(full, "seconds", "epoch", "{:.1f} s"),
            _get(sampled, "seconds", "epoch", "{:.1f} s"),
            _get(full, "gib", "peak", "{:.1f} GiB"),
            _get(sampled, "gib", "peak", "{:.1f} GiB"),
            _get(sampled, "recall_at_20", "start", "{:.3f}"),
            _get(full, "recall_at_20", "trained", "{:.3f}"),
            _get(sampled, "recall_at_20", "trained", "{:.3f}"),
        ]
        lines.append(
            f"| {name} | {full['num_items']:,} | {full['num_users']:,} | {interactions} | "
            f"{' | '.join(figures)} |"
        )
    note = (
        f'Planted data, `start.kind = "factored"`, {EPOCHS} epochs of batches of 256 users, '
        f"sampled softmax with {CANDIDATES:,} candidates; each case in a process of its own, of "
        f"whose memory TensorFlow takes half a GiB. On {result['provenance']['cores']} of the "
        f"cores. Commit {result['provenance']['commit']}; "
        f"{result['provenance']['machine']}."
    )
    return "\n".join([*lines, "", note])


def _get(case: dict[str, Any], part: str, name: str, form: str) -> str:
    return str(case["failed"]) if "failed" in case else form.format(case[part][name])


def make_time_to_accuracy() -> str:
    """Ours and the best learnt peer: how accurate after how long."""
    result = load_result("time_to_accuracy")
    peer, own = result["peer"], result["own"]
    best = peer["best_recall_at_20"]
    lines = ["| Recall@20 on validation | MGCN | ours |", "|---|---|---|"]
    for share in (0.8, 0.9, 0.95, 1.0):
        target = share * best
        lines.append(
            f"| {target:.4f} ({share:.0%} of MGCN's best) | "
            f"{_word_time(find_time(peer['curve'], target))} | "
            f"{_word_time(find_median_time(own['curves'], target))} |"
        )
    ours = min(max(point["recall_at_20"] for point in curve) for curve in own["curves"])
    lines.append(
        f"| {ours:.4f} (our best) | {_word_time(find_time(peer['curve'], ours))} | "
        f"{_word_time(find_median_time(own['curves'], ours))} |"
    )
    note = (
        f"H&M, fitted on train, both on the same cores one after the other. Of MGCN (MMRec at "
        f"{result['provenance']['peer_commit']}) the seconds of its training steps alone; it was "
        f"stopped after {len(peer['curve'])} epochs. Of ours everything that `fit` does before "
        f"validation is first looked at, median of {len(own['curves'])}. "
        f"Commit {result['provenance']['commit']}; {result['provenance']['machine']}."
    )
    return "\n".join([*lines, "", note])


def _word_time(seconds: float | None) -> str:
    return "not reached" if seconds is None else f"{seconds:.0f} s"
