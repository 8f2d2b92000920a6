"""Reading of small tab-separated source tables, with errors that name file, line and value."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

from tfx_pipeline.datasets.errors import DataError


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a source table.

    Attributes:
        path: The file.
        line: Number of the line in it, from 1.
        values: The fields, as many as the header has.
    """

    path: str
    line: int
    values: tuple[str, ...]

    def error(self, what: str, value: str) -> DataError:
        """Return the error to raise about a value of this row.

        Args:
            what: What is wrong, a clause without a full stop.
            value: The value.

        Returns:
            An error that names file, line and value.
        """
        return DataError(
            f"{self.path}, line {self.line}: {what}. Received: {value!r}. Repair the line, or "
            "leave the data folder out to have sound files fetched."
        )


def load_rows(path: str | pathlib.Path, header: Sequence[str]) -> Iterator[Row]:
    """Load the rows of a tab-separated UTF-8 file that starts with a known header.

    Args:
        path: The file.
        header: Names of its columns, as the first line must have them.

    Yields:
        The rows, blank lines left out.

    Raises:
        DataError: If the file is not UTF-8, has another header, or a row of another width.
    """
    path = str(path)
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: not UTF-8 (byte {error.start + 1} of the line). "
                    f"Received: {raw[:60]!r}. Convert the file to UTF-8."
                ) from error
            values = tuple(line.split("\t"))
            if number == 1:
                if values != tuple(header):
                    raise DataError(
                        f"{path}: the first line must name the columns {', '.join(header)}. "
                        f"Received: {line[:200]!r}. This is another kind of file, or a damaged one."
                    )
            elif line:
                row = Row(path, number, values)
                if len(values) != len(header):
                    raise row.error(
                        f"{len(values)} fields where the header has {len(header)}", line[:200]
                    )
                yield row
        if file.tell() == 0:
            raise DataError(
                f"{path}: the file is empty. Received: 0 bytes. Replace it, or leave the data "
                "folder out to have sound files fetched."
            )
