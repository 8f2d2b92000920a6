"""Reading of comma-separated source tables, with errors that name file, line, column and value."""

import csv
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from tfx_pipeline.datasets.errors import DataError


@dataclasses.dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of a source table.

    Attributes:
        path: The file.
        line: Number of the line in it on which the row starts, from 1.
        values: The fields of the columns that were asked for, in that order.
    """

    path: str
    line: int
    values: tuple[str, ...]

    def error(
        self, column: str, what: str, value: str, remedy: str = "Repair the line."
    ) -> DataError:
        """Return the error to raise about a value of this row.

        Args:
            column: The column.
            what: What is wrong, a clause without a full stop.
            value: The value.
            remedy: What to do, a sentence.

        Returns:
            An error that names file, line, column, value and remedy.
        """
        shown = value if len(value) <= 80 else f"{value[:77]}..."
        return DataError(
            f"{self.path}, line {self.line}, column {column}: {what}. Received: {shown!r}. {remedy}"
        )


def load_csv_rows(path: str | pathlib.Path, columns: Sequence[str]) -> Iterator[CsvRow]:
    """Load columns of a comma-separated UTF-8 file with a header; fields may be quoted.

    Args:
        path: The file.
        columns: Names of the columns wanted; the file may have others, in any order.

    Yields:
        The rows, blank lines left out. A quoted field may span lines.

    Raises:
        DataError: If the file is empty, not UTF-8, lacks a column, or has a row of another width or
            with a quote that is never closed.
    """
    path = str(path)
    with open(path, "rb") as file:
        reader = csv.reader(_decode(path, file), strict=True)
        width, places = _find_columns(path, _read_header(path, reader), columns)
        line = reader.line_num
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(
                    f"{path}, line {line + 1}: not a row of comma-separated values ({error}). "
                    f"Received: a row of {reader.line_num - line} lines. Look for a quotation mark "
                    "that is not closed or not doubled, and repair the line."
                ) from error
            start, line = line + 1, reader.line_num
            if len(fields) == width:
                yield CsvRow(path, start, tuple([fields[place] for place in places]))
            elif fields:
                raise DataError(
                    f"{path}, line {start}: {len(fields)} fields where the header has {width}. "
                    f"Received: {','.join(fields)[:120]!r}. Repair the line; a field with a comma "
                    "in it must be quoted."
                )


def _decode(path: str, lines: Iterator[bytes]) -> Iterator[str]:
    for number, raw in enumerate(lines, start=1):
        try:
            # The mark that some programs write at the start of a file is no part of a name.
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: not UTF-8 (byte {error.start + 1} of the line). "
                f"Received: {raw[:60]!r}. Convert the file to UTF-8."
            ) from error


def _read_header(path: str, reader: Iterator[list[str]]) -> list[str]:
    try:
        return next(reader)
    except StopIteration:
        raise DataError(
            f"{path}: the file is empty. Received: 0 bytes. Replace it by a whole one."
        ) from None
    except csv.Error as error:
        raise DataError(
            f"{path}, line 1: not a header of comma-separated values ({error}). Received: another "
            "kind of file, or a damaged one. Replace it by a whole one."
        ) from error


def _find_columns(path: str, header: list[str], columns: Sequence[str]) -> tuple[int, list[int]]:
    """Return the number of columns and the place of each wanted one."""
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(
            f"{path}: the first line must name the columns {', '.join(columns)}, and lacks "
            f"{', '.join(missing)}. Received: {','.join(header)[:200]!r}. This is another kind of "
            "file, or a damaged one."
        )
    return len(header), [header.index(name) for name in columns]
