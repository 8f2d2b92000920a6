"""What the adapters of files in a folder have in common: look, describe, write or leave alone."""

import abc
import logging
import os
import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import apache_beam as beam

from tfx_pipeline.datasets import staging, writing
from tfx_pipeline.datasets.local_sources import LocalSource
from tfx_pipeline.datasets.source import compute_sha256

_logger = logging.getLogger(__name__)

Paths = Mapping[str, pathlib.Path]


class LocalAdapter(abc.ABC):
    """An adapter of a `LocalSource`.

    A subclass says how rows are checked and how the tables are made; the base class sees to it that
    the output is whole or not there, and is left alone where nothing changed.
    """

    name: ClassVar[str]
    source: ClassVar[LocalSource]
    item_columns: ClassVar[Mapping[str, str]]
    version: ClassVar[int]
    has_timestamps: ClassVar[bool] = True
    num_shards: int

    @abc.abstractmethod
    def validate_source(self, paths: Paths) -> None:
        """Validate every row of the source, before a runner wraps the errors in its own.

        Args:
            paths: Files and folders of the source, by name.

        Raises:
            DataError: At the first row that is wrong, naming file, line, column and value.
        """

    @abc.abstractmethod
    def make_tables(
        self, pipeline: beam.Pipeline, paths: Paths
    ) -> tuple[beam.PCollection, beam.PCollection]:
        """Make both tables, as `writing.write_canonical` takes them.

        Args:
            pipeline: The pipeline to read in.
            paths: Files and folders of the source, by name.

        Returns:
            The interactions, a PCollection of (split, row), and the items.
        """

    def describe(self, paths: Paths) -> dict[str, Any]:
        """Describe what the output is made from, beside the files' contents.

        Args:
            paths: Files and folders of the source, by name.

        Returns:
            Values that JSON knows; where they change, the output is written again.
        """
        del paths
        return {}

    def write(
        self,
        data_dir: str | os.PathLike | None,
        cache_dir: str | os.PathLike,
        output_dir: str | os.PathLike,
        beam_args: Iterable[str] = (),
    ) -> bool:
        """Write the canonical form.

        Args:
            data_dir: Folder with the source files, which are not fetched.
            cache_dir: Not used.
            output_dir: Directory to write, left as it is where it is up to date.
            beam_args: Options of the Beam pipeline.

        Returns:
            True if the directory was written, False if it was up to date.

        Raises:
            DataError: If the source is missing or damaged.
        """
        del cache_dir
        paths = self.source.find(data_dir)
        description = {
            "dataset": self.name,
            "adapter_version": self.version,
            "num_shards": self.num_shards,
            "source": {name: compute_sha256(paths[name]) for name in self.source.files},
            **self.describe(paths),
        }
        written = staging.write_directory(
            output_dir, description, lambda folder: self._produce(paths, folder, beam_args)
        )
        if not written:
            _logger.info("%s: %s is up to date", self.name, output_dir)
        return written

    def _produce(self, paths: Paths, folder: pathlib.Path, beam_args: Iterable[str]) -> None:
        start = time.monotonic()
        parent = next(iter(paths.values())).parent
        _logger.info("%s: making the canonical tables from %s", self.name, parent)
        self.validate_source(paths)
        report = writing.write_canonical(
            lambda pipeline: self.make_tables(pipeline, paths),
            folder,
            self.item_columns,
            self.num_shards,
            beam_args,
            timestamp=self.has_timestamps,
        )
        _logger.info("%s: %s, in %.1f s", self.name, report, time.monotonic() - start)
