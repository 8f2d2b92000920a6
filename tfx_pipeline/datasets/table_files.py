"""Reading of other people's tables, CSV or Parquet, from any file system that Beam knows.

Every row knows its file and its line or row, so that an error can name the place.
"""

import csv
import dataclasses
import datetime
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystems import FileSystems

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.source import compute_sha256
from tfx_pipeline.datasets.table_values import BadValueError
from tfx_pipeline.suggestions import suggest

_BATCH_ROWS = 8192
_SHOWN = 100
_DELIMITERS = ",;\t|"
_MAGIC = {
    b"PK\x03\x04": "an Excel workbook or another archive. Save the sheet as CSV (UTF-8).",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook. Save the sheet as CSV (UTF-8).",
    b"\xff\xfe": "UTF-16. Save it as UTF-8.",
    b"\xfe\xff": "UTF-16. Save it as UTF-8.",
    b"\x1f\x8b": "gzip without the ending .gz. Rename the file.",
    b"SQLi": "an SQLite database. Export the table as CSV (UTF-8).",
}


class Place(NamedTuple):
    """Where a row is.

    Attributes:
        path: The file.
        number: Number of the row's first line in a CSV file, or of the row in a Parquet file, from
            1.
        unit: `line` or `row`.
    """

    path: str
    number: int
    unit: str

    def error(self, column: str, value: Any, what: str, remedy: str) -> DataError:
        """Return the error to raise about a value: file, row, column, what is wrong, the remedy."""
        return DataError(f"{self}, column {column!r}: {what}. Received: {shorten(value)}. {remedy}")

    def parse(self, column: str, value: Any, parse: Any, *settings: Any) -> Any:
        """Return what a parser of `table_values` makes of a value; its refusal gets the place."""
        try:
            return parse(value, *settings)
        except BadValueError as error:
            raise self.error(column, value, error.what, error.remedy) from error

    def __str__(self) -> str:
        """Return the place as errors name it."""
        return f"{self.path}, {self.unit} {self.number}"


def shorten(value: Any) -> str:
    """Return a value as messages show it: quoted, and no longer than a line takes."""
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."


Row = tuple[Place, tuple[Any, ...]]


@dataclasses.dataclass(frozen=True)
class FileInfo:
    """One file of a table.

    Attributes:
        path: Its path or address.
        size: Bytes.
        stamp: What changes when the content does: the sha256 of a file on this machine, the time
            of change elsewhere.
    """

    path: str
    size: int
    stamp: str


def list_files(patterns: str | Iterable[str], what: str) -> list[FileInfo]:
    """List the files of a table, sorted.

    Args:
        patterns: One or more paths or globs.
        what: What the table is, for error messages.

    Returns:
        The files, without hidden ones; a folder stands for the files in it.

    Raises:
        DataError: If a pattern matches no file or its file system cannot be reached.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    found: dict[str, FileInfo] = {}
    for pattern in patterns:
        pattern = os.path.join(pattern, "*") if os.path.isdir(pattern) else pattern
        matched = [each for each in _match(pattern, what) if not _is_hidden(each.path)]
        if not matched:
            raise DataError(
                f"There is no file of the {what}. Received: {pattern}. Give the path of a CSV or "
                "Parquet file, a folder of them, or a glob such as 'sales/*.csv' in quotes."
            )
        for each in matched:
            found[each.path] = FileInfo(each.path, each.size_in_bytes, _make_stamp(each))
    return [found[path] for path in sorted(found)]


def list_tree(directory: str, what: str) -> list[FileInfo]:
    """List all files in a folder and its folders, with their time of change as the stamp.

    Raises:
        DataError: If there are none.
    """
    found = [
        FileInfo(each.path, each.size_in_bytes, str(each.last_updated_in_seconds))
        for each in _match(directory.rstrip("/") + "/**", what)
        if not _is_hidden(each.path)
    ]
    if not found:
        raise DataError(
            f"The folder of the {what} does not exist or is empty. Received: {directory}. Give the "
            "folder that holds them."
        )
    return sorted(found, key=lambda file: file.path)


def load_header(path: str) -> tuple[str, ...]:
    """Load the names of a table's columns.

    Raises:
        DataError: If the file is empty, damaged, neither CSV nor Parquet, or names a column twice.
    """
    with _open(path) as file:
        if _is_parquet(path, file):
            return tuple(_open_parquet(path, file).schema_arrow.names)
        return next(_read_csv(path, file))[1]


def load_rows(path: str, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Load the rows of a file.

    Args:
        path: The file: Parquet by its first bytes, CSV otherwise. Of CSV the delimiter is the one
            of `,` `;` tab `|` that splits the header most; the encoding is UTF-8.
        columns: The columns to load, all by default.

    Yields:
        The place of each row, and its values in the order of `columns`: texts out of CSV, Python
        objects out of Parquet.

    Raises:
        DataError: If the file is damaged, lacks a column, or has a row of another width.
    """
    with _open(path) as file:
        if _is_parquet(path, file):
            yield from _load_parquet_rows(path, file, columns)
            return
        rows = _read_csv(path, file)
        _, header = next(rows)
        index = _find_columns(path, header, columns)
        for place, values in rows:
            yield place, tuple(values[i] for i in index)


def _match(pattern: str, what: str) -> list[Any]:
    try:
        return list(FileSystems.match([pattern])[0].metadata_list)
    except (ValueError, OSError, ImportError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(
            f"The {what} cannot be looked up: {reason}. Received: {pattern}. Check the address; "
            "gs:// needs apache-beam[gcp], s3:// apache-beam[aws]."
        ) from error


def _is_hidden(path: str) -> bool:
    return path.rsplit("/", 1)[-1].startswith((".", "_"))


def _make_stamp(metadata: Any) -> str:
    if "://" not in metadata.path:
        return compute_sha256(metadata.path)
    return f"{metadata.size_in_bytes} {metadata.last_updated_in_seconds}"


def _open(path: str) -> Any:
    try:
        return FileSystems.open(path)
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(
            f"{path}: the file cannot be opened ({reason}). Received: {path}. Check the path."
        ) from error


def _is_parquet(path: str, file: BinaryIO) -> bool:
    """Tell Parquet by its first bytes, and refuse what is neither Parquet nor text."""
    start = file.read(4)
    file.seek(0)
    if not start:
        raise DataError(
            f"{path}: the file is empty. Received: 0 bytes. Replace it, or take it out of the path."
        )
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise DataError(f"{path}: this is no CSV or Parquet file. Received: {what}")
    return start == b"PAR1"


def _read_csv(path: str, file: BinaryIO) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """Yield the header and then the rows, each with the line at which it starts."""
    csv.field_size_limit(sys.maxsize)  # The default refuses texts above 128 KiB.
    lines = _decode(path, file)
    first = next(lines, "")
    delimiter = max(_DELIMITERS, key=first.count) if first.strip() else ","
    reader = csv.reader(_chain(first, lines), delimiter=delimiter, strict=True)
    header: tuple[str, ...] = ()
    line = 0
    try:
        for values in reader:
            place = Place(path, line + 1, "line")
            line = reader.line_num
            if not header:
                header = _check_header(path, tuple(name.strip() for name in values))
                yield place, header
            elif values:
                if len(values) != len(header):
                    raise DataError(
                        f"{place}: {len(values)} fields where the header has {len(header)}. "
                        f"Received: {delimiter.join(values)[:200]!r}. Repair the line; a text that "
                        f"holds {delimiter!r} must be in double quotes."
                    )
                yield place, tuple(values)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {line + 1}: not readable as CSV ({error}). Received: a field that does "
            "not end, or text after a closing quote. Repair the quotes: a quote inside a quoted "
            "text is written twice."
        ) from error


def _decode(path: str, file: BinaryIO) -> Iterator[str]:
    # A compressed file of Beam's has readline and no iterator.
    for number, raw in enumerate(iter(file.readline, b""), start=1):
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: not UTF-8 (byte {error.start + 1} of the line). "
                f"Received: {raw[:60]!r}. Save the file as UTF-8."
            ) from error


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _check_header(path: str, header: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated or not any(header):
        raise DataError(
            f"{path}: the first line must name each column once. Received: "
            f"{', '.join(map(repr, repeated or header))}. Rename or remove columns."
        )
    return header


def _find_columns(path: str, header: Sequence[str], columns: Sequence[str] | None) -> list[int]:
    if columns is None:
        return list(range(len(header)))
    for name in columns:
        if name not in header:
            raise DataError(
                f"{path}: there is no column {name!r}.{suggest(name, header)} Received: "
                f"the columns {', '.join(header)}. Name one of them in the configuration, or "
                "repair the file."
            )
    return [header.index(name) for name in columns]


def _open_parquet(path: str, file: BinaryIO) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(
            f"{path}: not a readable Parquet file ({reason}). Received: a damaged file. "
            "Write it again."
        ) from error


def _load_parquet_rows(path: str, file: BinaryIO, columns: Sequence[str] | None) -> Iterator[Row]:
    table = _open_parquet(path, file)
    header = tuple(table.schema_arrow.names)
    names = [header[i] for i in _find_columns(path, header, columns)]
    number = 0
    try:
        for batch in table.iter_batches(_BATCH_ROWS, columns=list(dict.fromkeys(names))):
            lists = [_to_python(batch.column(name)) for name in names]
            for values in zip(*lists, strict=True):
                number += 1
                yield Place(path, number, "row"), values
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(
            f"{path}, row {number + 1} or after: not readable ({reason}). Received: a damaged "
            "Parquet file. Write it again."
        ) from error


def _to_python(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's times have microseconds; what is finer is no use to anybody here.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return [
        value.replace(tzinfo=datetime.UTC)
        if isinstance(value, datetime.datetime) and value.tzinfo is None
        else value
        for value in column.to_pylist()
    ]
