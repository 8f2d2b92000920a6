"""Fingerprints of source code and libraries, which TFX's cache does not look at.

TFX hashes a component's inputs and parameters, never the code behind a dotted path or an imported
package. What is computed here goes into the parameters, so that an edit runs a component again.
"""

import hashlib
import importlib.metadata
import importlib.util
import pathlib
from collections.abc import Iterable

# Libraries whose numbers, graphs and formats end up in what components make.
_SOURCES = ("*.py", "*.j2")
LIBRARIES = (
    "tensorflow",
    "keras",
    "tensorflow-data-validation",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "tfx",
)


def compute_fingerprint(paths: Iterable[str | pathlib.Path]) -> str:
    """Compute the sha256 of source files, from their names and contents.

    Names count relative to the folder given, so the same sources have the same fingerprint wherever
    they lie; modification times do not count.

    Args:
        paths: Files, or folders of which all sources and templates are taken.

    Returns:
        16 hexadecimal digits.

    Raises:
        FileNotFoundError: If a path does not exist.
    """
    digest = hashlib.sha256()
    for path in map(pathlib.Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"There is no source to fingerprint. Received: {path}")
        files = [path]
        if path.is_dir():
            files = sorted(each for kind in _SOURCES for each in path.rglob(kind))
        for file in files:
            name = file.relative_to(path.parent).as_posix()
            for part in (name.encode(), file.read_bytes()):
                digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def compute_module_fingerprint(*modules: str) -> str:
    """Compute the fingerprint of modules and packages by dotted name, without importing them.

    The versions of `LIBRARIES` count too, so that an upgrade computes everything anew.

    Args:
        *modules: Dotted names; a package counts with everything in it.

    Returns:
        16 hexadecimal digits.

    Raises:
        ModuleNotFoundError: If there is no such module.
    """
    paths: list[pathlib.Path] = []
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"There is no module to fingerprint. Received: {name!r}")
        if spec.submodule_search_locations:
            paths += [pathlib.Path(location) for location in spec.submodule_search_locations]
        elif spec.origin:
            paths.append(pathlib.Path(spec.origin))
    versions = "".join(f"{name}=={load_version(name)}\n" for name in LIBRARIES)
    return hashlib.sha256((compute_fingerprint(paths) + versions).encode()).hexdigest()[:16]


def load_version(library: str) -> str:
    """Load the version of an installed library from its metadata, without importing it.

    Args:
        library: Name of the distribution.

    Returns:
        The version; empty where it is not installed.
    """
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
