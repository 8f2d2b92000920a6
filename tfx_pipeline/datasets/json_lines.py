"""Reading of compressed files with one JSON object a line, with errors that name file and line."""

import dataclasses
import gzip
import json
import pathlib
import zlib
from collections.abc import Iterator
from typing import Any

from tfx_pipeline.datasets.errors import DataError


@dataclasses.dataclass(frozen=True, slots=True)
class JsonRow:
    """One object of a source file.

    Attributes:
        path: The file.
        line: Number of its line, from 1.
        values: The object.
    """

    path: str
    line: int
    values: dict[str, Any]

    def error(self, field: str, what: str) -> DataError:
        """Return the error to raise about a field of this object.

        Args:
            field: The field.
            what: What is wrong, a clause without a full stop.

        Returns:
            An error that names file, line, field, value and remedy.
        """
        shown = repr(self.values.get(field, "no such field"))
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        return DataError(
            f"{self.path}, line {self.line}, field {field}: {what}. Received: {shown}. Repair the "
            "line, or get the file again."
        )


def load_json_rows(path: str | pathlib.Path) -> Iterator[JsonRow]:
    """Load the objects of a gzip file that has one JSON object a line.

    Args:
        path: The file.

    Yields:
        The objects, blank lines left out.

    Raises:
        DataError: If the file is empty, damaged or not compressed, or a line is not a JSON object.
    """
    path = str(path)
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    yield JsonRow(path, number, _parse(path, number, raw))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: damaged, or not compressed with gzip ({error}). Received: {number} sound "
            "lines. Get the file again."
        ) from error
    if not number:
        raise DataError(f"{path}: the file is empty. Received: 0 lines. Get the file again.")


def _parse(path: str, number: int, raw: bytes) -> dict[str, Any]:
    try:
        values = json.loads(raw)
    except ValueError as error:  # It covers bad UTF-8 as well as bad JSON.
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}, line {number}: not a JSON object ({reason}). Received: {raw[:60]!r}. Repair "
            "the line, or get the file again; the releases before 2018 are not JSON."
        ) from error
    if not isinstance(values, dict):
        raise DataError(
            f"{path}, line {number}: not a JSON object. Received: {raw[:60]!r}. Repair the line."
        )
    return values
