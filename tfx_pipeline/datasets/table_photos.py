"""Photos of items: which file an id, a file name or a path stands for."""

from collections.abc import Iterable, Mapping

from tfx_pipeline.datasets.table_files import FileInfo


def index_photos(directory: str, photos: Iterable[FileInfo]) -> dict[str, str]:
    """Index photos by the names an item may call them: path in the folder, file name, bare name.

    A name that several photos have stands for none of them; their paths do.

    Example:
        >>> sorted(index_photos("d", [FileInfo("d/01/7.jpg", 9, "")]))
        ['01/7.jpg', '7', '7.jpg']
    """
    relative: dict[str, str] = {}
    named: dict[str, set[str]] = {}
    for photo in photos:
        name = photo.path.rsplit("/", 1)[-1]
        relative[photo.path.removeprefix(directory.rstrip("/")).lstrip("/")] = photo.path
        for key in (name, _remove_ending(name)):
            named.setdefault(key, set()).add(photo.path)
    return {key: min(paths) for key, paths in named.items() if len(paths) == 1} | relative


def count_shared_names(index: Mapping[str, str]) -> int:
    """Count the photos that an item can name by their paths alone.

    Args:
        index: What `index_photos` returned.
    """
    paths = set(index.values())
    return sum(index.get(_remove_ending(path.rsplit("/", 1)[-1])) != path for path in paths)


def name_photo(photos: Mapping[str, str], directory: str, key: str | None) -> str | None:
    """Name the photo that a column calls by `key`, whether there is such a file or not.

    Args:
        photos: What `index_photos` returned.
        directory: Folder of the photos.
        key: What the column holds.

    Returns:
        The photo's path, None where the column names none. A file that is not there keeps its
        name, so that it can be reported by it.
    """
    found = find_photo(photos, key, is_path=True)
    return found or (f"{directory.rstrip('/')}/{key}" if key else None)


def find_photo(photos: Mapping[str, str], key: str | None, is_path: bool = False) -> str | None:
    """Find an item's photo; an address of a file stands for itself.

    Args:
        photos: What `index_photos` returned.
        key: An item's id, or what its column of photos holds.
        is_path: Whether it may be a path that begins elsewhere, as a column's may: then its last
            parts count.

    Returns:
        The photo's path, None for none.
    """
    if not key:
        return None
    found, rest = photos.get(key), key
    while found is None and is_path and "/" in rest:
        rest = rest.split("/", 1)[1]
        found = photos.get(rest)
    return found or (key if "://" in key else None)


def _remove_ending(name: str) -> str:
    return name.rsplit(".", 1)[0]
