"""The file of new items: CSV or Parquet, every value checked, with errors that name the place."""

import dataclasses
import os
from collections.abc import Collection, Mapping
from typing import Any

from apache_beam.io.filesystems import FileSystems

from tfx_pipeline.datasets import table_files
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.table_files import Place
from tfx_pipeline.datasets.table_options import TableOptions
from tfx_pipeline.datasets.table_photos import find_photo, index_photos
from tfx_pipeline.index.columns import ID, FileColumn, FileColumns, match_header
from tfx_pipeline.index.outcome import Unreadable
from tfx_pipeline.index.rows import LenientColumn, parse_row


@dataclasses.dataclass(frozen=True)
class NewItems:
    """The items of a file.

    Attributes:
        rows: Canonical rows, in the order of the file; a column that the file lacks is missing.
        places: Where each row is.
        ignored: Columns of the file that nothing reads.
        unreadable: Values that count as missing because they cannot be read, by column.
        names: Of each canonical column, what the file calls it.
    """

    rows: tuple[dict[str, Any], ...]
    places: tuple[Place, ...]
    ignored: tuple[str, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The ids."""
        return tuple(row[ID] for row in self.rows)

    def take(self, positions: Collection[int]) -> "NewItems":
        """Return the items at some positions."""
        return dataclasses.replace(
            self,
            rows=tuple(self.rows[i] for i in positions),
            places=tuple(self.places[i] for i in positions),
        )


class PhotoFinder:
    """Finds the files that photos are named by.

    Relative paths are relative to the file of items; in a project, a photo may also lie in the
    project's folder of images, by the name that `addrl run` would find it by.

    Args:
        path: The file of items.
        tables: The tables of a project, if it is one.
    """

    def __init__(self, path: str, tables: TableOptions | None = None):
        self._folder = path[: path.rfind("/") + 1]
        self._index: dict[str, str] = {}
        self._by_id = bool(tables and tables.images and not tables.images.match)
        if tables and tables.images:
            try:
                photos = table_files.list_tree(tables.images.directory, "images")
            except DataError:
                return  # New photos may lie elsewhere.
            self._index = index_photos(tables.images.directory, photos)

    def find(self, item_id: str, value: str | None) -> str | None:
        """Find a photo.

        Args:
            item_id: The item.
            value: What the file says, None where it says nothing.

        Returns:
            A path or an address, whether there is a file or not; None where none is named.
        """
        if not value:
            return find_photo(self._index, item_id) if self._by_id else None
        if "://" in value or os.path.isabs(value):
            return value
        joined = self._folder + value
        if self._index and not _exists(joined):
            return find_photo(self._index, value, is_path=True) or joined
        return joined if "://" in joined else os.path.abspath(joined)


def load_new_items(
    path: str | os.PathLike,
    columns: FileColumns,
    known: Collection[str],
    photos: PhotoFinder,
    ignored: Collection[str] = (),
) -> NewItems:
    """Load the items of a file.

    Args:
        path: The file: Parquet, or comma-separated UTF-8 with a header.
        columns: The columns that it may have (`columns.make_columns`).
        known: Ids that are in the catalogue already.
        photos: Finds the files of photos.
        ignored: Names of further columns that it may have, which are not read.

    Returns:
        The items.

    Raises:
        DataError: If the file cannot be read, is empty, has a column that nobody knows, a value
            that is not what the column holds, an item without id, twice, or in the catalogue.
    """
    path = os.fspath(path)
    header = table_files.load_header(path)
    matched = match_header(path, header, columns, ignored)
    found = matched.columns
    lenient = {name: LenientColumn(name) for name, column in found.items() if column.is_lenient}
    rows: list[dict[str, Any]] = []
    places: dict[str, Place] = {}
    for place, values in table_files.load_rows(path, list(found)):
        given = dict(zip(found, values, strict=True))
        row = parse_row(place, given, found, lenient)
        _check_id(place, matched.names[ID], row[ID], places, known)
        places[row[ID]] = place
        rows.append(row)
    if not rows:
        raise DataError(
            f"{path}: there are no items. Received: a header and no rows. Write a row for each new "
            "item."
        )
    empty = dict.fromkeys(column.name for column in columns.canonical.values())
    complete = [{**empty, **row} for row in rows]
    _fill_photos(complete, columns.canonical, photos)
    others = tuple(name for name in header if name not in found)
    unreadable = tuple(each.make_summary() for each in lenient.values() if each.count)
    return NewItems(tuple(complete), tuple(places.values()), others, unreadable, matched.names)


def find_ignored(tables: TableOptions | None) -> frozenset[str]:
    """Find the columns that a project's own table of items has, beside those that it uses.

    Args:
        tables: The tables of a project, if it is one.

    Returns:
        Their names; new items may come with them as the old ones did.
    """
    if tables is None:
        return frozenset()
    try:
        files = table_files.list_files(tables.items.path, "items")
        return frozenset(table_files.load_header(files[0].path))
    except DataError:
        return frozenset()  # The table is no longer there, so nothing is known of its columns.


def _check_id(
    place: Place, name: str, item_id: str, places: Mapping[str, Place], known: Collection[str]
) -> None:
    if item_id in places:
        raise place.error(
            name, item_id, f"the item is also in {places[item_id]}", "Keep one row per item."
        )
    if item_id in known:
        raise place.error(
            name,
            item_id,
            "the item is in the catalogue already",
            "Remove the row; to change what is known of an item, change the data set and run "
            "`addrl run`.",
        )


def _fill_photos(
    rows: list[dict[str, Any]], columns: Mapping[str, FileColumn], photos: PhotoFinder
) -> None:
    names = {column.name for column in columns.values() if column.kind == "photo"}
    for row in rows:
        for name in names:
            row[name] = photos.find(row[ID], row[name])


def _exists(path: str) -> bool:
    try:
        return FileSystems.exists(path)
    except (ValueError, OSError, ImportError):
        return False
