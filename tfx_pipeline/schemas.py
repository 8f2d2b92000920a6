"""Where the schema of each table lies, and how messages name it.

The interactions look the same in every data set, so one file serves all of them; a folder that has
an `interactions.pbtxt` of its own overrules it.
"""

import os
import pathlib

SCHEMA_DIR = pathlib.Path(__file__).resolve().parents[1] / "schema"
TABLES = ("interactions", "items")


def find_schema(table: str, schema: str | os.PathLike) -> pathlib.Path:
    """Find the schema file of a table.

    Args:
        table: One of `TABLES`.
        schema: Name of a folder under `schema/`, or path of a folder anywhere.

    Returns:
        Absolute path of the file. The interactions fall back on the common
        `schema/interactions.pbtxt`.

    Raises:
        FileNotFoundError: If there is no such file, naming the path that was expected.
    """
    folder = _find_folder(schema)
    path = folder / f"{table}.pbtxt"
    if not path.is_file() and table == "interactions" and folder.is_dir():
        path = SCHEMA_DIR / f"{table}.pbtxt"
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no schema of the table {table!r}. Received: {path}. Write the file; "
            "schema/README.md says how."
        )
    return path


def get_schema_name(table: str, schema: str | os.PathLike) -> str:
    """Return how messages name the schema of a table: as a person would look for it.

    Args:
        table: One of `TABLES`.
        schema: As for `find_schema`.

    Returns:
        A path that starts with `schema/` for a schema of this repository, an absolute one else.

    Example:
        >>> get_schema_name("items", "movielens"), get_schema_name("interactions", "movielens")
        ('schema/movielens/items.pbtxt', 'schema/interactions.pbtxt')
    """
    path = find_schema(table, schema)
    if path.is_relative_to(SCHEMA_DIR):
        return path.relative_to(SCHEMA_DIR.parent).as_posix()
    return str(path)


def _find_folder(schema: str | os.PathLike) -> pathlib.Path:
    """Take a bare word for a folder under `schema/`, and anything else for a path."""
    text = os.fspath(schema)
    if text and os.sep not in text and (SCHEMA_DIR / text).is_dir():
        return SCHEMA_DIR / text
    return pathlib.Path(text).expanduser().absolute()
