"""What a report says, made out of a fitted model, its test and the gates' verdicts."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.config import Config
from addrl_keras.control import Served, sweep
from addrl_keras.metrics import ranking
from addrl_keras.probing import compute_floor, compute_majorities, get_chunks, get_labels, probe_all
from addrl_keras.training import FitResult
from tfx_pipeline.drift import NOT_LOOKED_AT, Drift
from tfx_pipeline.report import figures
from tfx_pipeline.report.people import Person, Shown, make_people
from tfx_pipeline.results import Verdict

K = 20
_DRAWS = 1000
# Users whose wishes the control curves are of, and the strengths of these.
_WISHING = 200
_STRENGTHS = (0.0, 1.0, 2.0, 4.0, 20.0)
# Items that are drawn in the plane.
_POINTS = 1000
_SLICES = 8
_SYSTEMS = {"want_hold": "wish, rest held", "boost": "re-ranking by the label"}

Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Contents:
    """All that the page shows; figures are SVG or addresses that contain a picture.

    Attributes:
        preset: Its name.
        version: Of the model; "" where the gates refused it.
        date: When the report was made.
        facts: What was trained on what, as pairs of a name and words.
        verdicts: The gates' decisions.
        drift: How the data differ from those of the model in service.
        accuracy: Rows of a system, Recall@20 and NDCG@20, with an interval where there is one.
        slices: For each attribute a figure.
        learning: Figures of the training.
        training_note: What the figures cannot show.
        probes: A figure: what each chunk tells of each attribute.
        floor: A figure: what the labels alone tell.
        control: For each attribute two figures.
        maps: For each attribute an address of a picture.
        people: Sample users.
    """

    preset: str
    version: str
    date: str
    facts: Sequence[tuple[str, str]]
    verdicts: Sequence[Verdict]
    drift: Drift
    accuracy: Sequence[tuple[str, str, str]]
    slices: Sequence[str]
    learning: Sequence[str]
    training_note: str
    probes: str
    floor: str
    control: Sequence[tuple[str, str]]
    maps: Sequence[str]
    people: Sequence[Person]

    def to_json(self) -> str:
        """Return JSON from which `from_json` makes equal contents."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Contents:
        """Make contents; inverse of `to_json`.

        Raises:
            ValueError: It is not what `to_json` returns.
        """
        try:
            found = json.loads(text)
            people = [
                Person(
                    **{
                        **person,
                        **{
                            shelf: [Shown(**item) for item in person[shelf]]
                            for shelf in ("history", "items", "steered")
                        },
                    }
                )
                for person in found["people"]
            ]
            verdicts = [Verdict(**verdict) for verdict in found["verdicts"]]
            drift = Drift.from_dict(found["drift"]) if "drift" in found else NOT_LOOKED_AT
            return cls(**{**found, "people": people, "verdicts": verdicts, "drift": drift})
        except (LookupError, TypeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error


@dataclasses.dataclass(frozen=True)
class Sources:
    """What a report is made of.

    Attributes:
        preset: Its name.
        version: Of the model; "" where the gates refused it.
        result: The fitted model.
        test: Binary CSR `[num_users, num_items]`, what should be found.
        slices: Metrics by attribute and value.
        verdicts: The gates' decisions.
        titles: Titles by item.
        photos: Path of the photo by item.
        drift: How the data differ from those of the model in service.
    """

    preset: str
    version: str
    result: FitResult
    test: scipy.sparse.csr_matrix
    slices: Mapping[str, Mapping[str, Mapping[str, float]]]
    verdicts: Sequence[Verdict]
    titles: Mapping[str, str]
    photos: Mapping[str, str]
    drift: Drift


def make_contents(sources: Sources, progress: Progress = lambda line: None) -> Contents:
    """Makes what a report says, without the baselines, which are measured after a run.

    Args:
        sources: What it is about.
        progress: Called with a line before what takes long.
    """
    result = sources.result
    progress("asking the model for its lists ...")
    served = Served(result)
    progress("probing the chunks ...")
    probes, floor = _draw_probes(result)
    progress("sweeping wishes ...")
    control = _draw_control(served, sources.test)
    progress("drawing the items ...")
    maps = _draw_maps(result)
    learning, note = _draw_learning(result)
    return Contents(
        preset=sources.preset,
        version=sources.version,
        date=datetime.date.today().isoformat(),
        facts=_make_facts(result, sources.test),
        verdicts=sources.verdicts,
        drift=sources.drift,
        accuracy=[_measure_accuracy(result, sources.test)],
        slices=_draw_slices(sources.slices),
        learning=learning,
        training_note=note,
        probes=probes,
        floor=floor,
        control=control,
        maps=maps,
        people=make_people(served, sources.titles, sources.photos),
    )


def _make_facts(result: FitResult, test: scipy.sparse.csr_matrix) -> list[tuple[str, str]]:
    config, interactions = result.model.config, result.interactions
    values = {name: len(result.catalogue.values[name].names) for name in config.attribute_names}
    counts = (interactions.train.nnz, interactions.validation.nnz, test.nnz)
    return [
        ("users", f"{len(interactions.user_ids):,}"),
        ("items", f"{result.catalogue.num_items:,}"),
        (
            "interactions",
            f"{counts[0]:,} to train, {counts[1]:,} to validate, {counts[2]:,} to test",
        ),
        ("attributes", ", ".join(f"{name} ({count} values)" for name, count in values.items())),
        ("modalities", ", ".join(f"{m.name} ({m.encoder})" for m in config.modalities)),
        *(
            [("weight of auxiliary interactions", f"{config.start.auxiliary_weight:g}")]
            if config.reads_auxiliary
            else []
        ),
        ("recipe", config.recipe),
        ("start", config.start.kind),
        ("loss", config.losses.preference_kind),
        ("epochs of gradient training", str(result.epochs)),
        ("memory", f"{config.model.memory_size} past items per item"),
        ("weights", f"{result.model.count_params():,}"),
    ]


def _measure_accuracy(result: FitResult, test: scipy.sparse.csr_matrix) -> tuple[str, str, str]:
    known = result.interactions.known
    users, ranked = ranking.rank_users(result.model.compute_scores, known, test, K, pass_users=True)
    relevant = test[users]
    return (
        "this model",
        _word_interval(ranking.compute_recall_at_k(ranked, relevant)),
        _word_interval(ranking.compute_ndcg_at_k(ranked, relevant)),
    )


def _word_interval(values: np.ndarray) -> str:
    """Words a mean and its 95 % interval, by a bootstrap over the users."""
    generator = np.random.default_rng(0)
    size = len(values)
    means = [values[generator.integers(0, size, size)].mean() for _ in range(_DRAWS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():.4f} ({low:.4f} to {high:.4f})"


def _draw_slices(slices: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Draws Recall@20 by slice: of each attribute the values with most test interactions."""
    name = f"recall_at_{K}"
    drawn = []
    for attribute, rows in slices.items():
        order = sorted(rows, key=lambda value: -rows[value].get("users", 0.0))[:_SLICES]
        bars = {figures.shorten(value): rows[value][name] for value in order if name in rows[value]}
        if len(bars) > 1:
            drawn.append(figures.draw_bars(bars, "Recall@20", f"by {attribute}"))
    return drawn


def _draw_learning(result: FitResult) -> tuple[list[str], str]:
    content, validation = result.history.get("content", {}), result.history.get("validation", {})
    drawn = []
    if content.get("loss"):
        lines = _number_epochs(content)
        drawn.append(figures.draw_lines(lines, "epoch", "loss", "content: the attributes' terms"))
    held_out = result.history.get("content_held_out", {})
    if held_out:
        lines = _number_epochs(held_out)
        drawn.append(
            figures.draw_lines(lines, "epoch", "cross-entropy", "content: values held out")
        )
    told = _word_content(held_out, result.model.config)
    looks = {name: validation.get(f"{name}_at_{K}", []) for name in ("recall", "ndcg")}
    if len(looks["ndcg"]) > 1:
        lines = {name: (list(range(len(values))), values) for name, values in looks.items()}
        drawn.append(
            figures.draw_lines(lines, "epoch", f"validation, @{K}", "towers, on validation")
        )
    if not looks["ndcg"]:
        return drawn, f"{told}There was nothing to validate on."
    if result.epochs:
        return drawn, (
            f"{told}The best epoch of the towers on validation was {result.epochs}; the model got "
            "as many."
        )
    started = f"Recall@{K} {looks['recall'][0]:.4f}, NDCG@{K} {looks['ndcg'][0]:.4f}"
    return drawn, (
        f"{told}What training starts from, {result.model.config.start.kind}, was best on "
        f"validation ({started}), so the model is that, and got no gradient step."
    )


def _number_epochs(
    history: Mapping[str, Sequence[float]],
) -> dict[str, tuple[list[int], Sequence[float]]]:
    """Makes lines of figures that begin after the first epoch."""
    return {name: (list(range(1, len(values) + 1)), values) for name, values in history.items()}


def _word_content(held_out: Mapping[str, Sequence[float]], config: Config) -> str:
    if not held_out:
        return ""
    kept = ", ".join(f"{name} {int(np.argmin(losses)) + 1}" for name, losses in held_out.items())
    made = len(next(iter(held_out.values())))
    few = [name for name in config.attribute_names if name not in held_out]
    others = f" Too few values to choose by: {', '.join(few)}." if few else ""
    content = ", ".join(modality.name for modality in config.content_modalities)
    return (
        f"What predicts an attribute's missing values, from {content}, got as many passes over the "
        f"items as were best on items held out: {kept} ({made} were made, of "
        f"{config.training.content_epochs} at most).{others} "
    )


def _draw_probes(result: FitResult) -> tuple[str, str]:
    labels = get_labels(result.model.config, result.catalogue)
    names = list(labels)
    told = {name: probe_all(part, labels) for name, part in get_chunks(result.model).items()}
    told["(most frequent value)"] = compute_majorities(labels)
    floor = compute_floor(labels)

    def draw(rows: Mapping[str, Mapping[str, float]], title: str) -> str:
        values = np.array([[row[name] for name in names] for row in rows.values()])
        return figures.draw_heat_map(values, list(rows), names, title)

    return (
        draw(told, "what each chunk tells of each attribute"),
        draw({f"label of {name}": row for name, row in floor.items()}, "what the labels tell"),
    )


def _draw_control(served: Served, test: scipy.sparse.csr_matrix) -> list[tuple[str, str]]:
    known = served.result.interactions.known
    counted = np.flatnonzero((known.getnnz(axis=1) > 0) & (test.getnnz(axis=1) > 0))
    users = np.sort(np.random.default_rng(0).permutation(counted)[:_WISHING])
    drawn = []
    for attribute in served.result.model.config.attribute_names:
        points: dict[str, list[dict[str, float]]] = {title: [] for title in _SYSTEMS.values()}
        for system, _, found in sweep(served, test, attribute, users, _STRENGTHS, tuple(_SYSTEMS)):
            points[_SYSTEMS[system]].append({name: part.mean() for name, part in found.items()})
        if not any(points.values()):
            continue  # Nobody has a test item of known value.

        def draw(figure: str, words: str, attribute: str = attribute, points: Any = points) -> str:
            lines = {
                name: ([row["share"] for row in rows], [row[figure] for row in rows])
                for name, rows in points.items()
            }
            x = "share of the wanted value"
            return figures.draw_lines(lines, x, words, f"a wish for a {attribute}")

        drawn.append(
            (draw("recall", "Recall@20 of what is wanted"), draw("drift", "drift of the rest"))
        )
    return drawn


def _draw_maps(result: FitResult) -> list[str]:
    """Draws items in the plane by what having them says of a user's taste in each attribute."""
    labels = get_labels(result.model.config, result.catalogue)
    query = result.model.compute_item_preferences()
    ends = np.cumsum(result.model.chunk_dims)[:-1]
    taken = np.asarray(result.interactions.known.sum(axis=0)).ravel()
    drawn = []
    for name, part in zip(labels, np.split(query, ends, axis=1), strict=False):
        rows = np.flatnonzero((labels[name] >= 0) & (np.abs(part).sum(axis=1) > 0))
        rows = np.sort(rows[np.argsort(-taken[rows], kind="stable")[:_POINTS]])
        if len(rows) < 40:
            continue
        points = figures.place_in_plane(part[rows], max_iter=400)
        title = f"items by their {name} chunk"
        names = result.catalogue.values[name].names
        drawn.append(figures.draw_map(points, labels[name][rows], names, title))
    return drawn
