"""Tables of TOML to dataclasses, with errors that name file, key, value and the nearest key."""

import dataclasses
import os
import pathlib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from tfx_pipeline.suggestions import suggest

# Weights by name: a table in the file, pairs in the dataclass.
WEIGHTS = tuple[tuple[str, float], ...]


class ProjectError(ValueError):
    """Raised where a project's file cannot be read or says what it may not."""


class TomlReader:
    """Turns tables of TOML into dataclasses, and refuses what does not fit.

    Args:
        path: The file, for error messages and relative paths.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def error(self, what: str, value: Any, remedy: str) -> ProjectError:
        """Return the error to raise about a value."""
        sentence = what if what.endswith(("?", ".")) else f"{what}."
        return ProjectError(f"{self.path}: {sentence} Received: {value!r}. {remedy}")

    def resolve(self, path: Any) -> Any:
        """Make a relative path absolute, seen from the file; addresses stay as they are."""
        if isinstance(path, tuple):
            return tuple(map(self.resolve, path))
        if not path or "://" in path:
            return path
        # Not `resolve`: a link to the data must keep the name that a person gave it.
        return os.path.normpath(self.path.parent.absolute() / pathlib.Path(path).expanduser())

    def get_table(
        self, section: str, parent: Mapping[str, Any], key: str, required: bool = False
    ) -> dict[str, Any]:
        """Return a table in a table, empty where it may be missing."""
        if required and key not in parent:
            raise self.error(
                f"there is no section [{section}]", ", ".join(parent) or "nothing", "Add it."
            )
        table = parent.get(key, {})
        if not isinstance(table, dict):
            raise self.error(
                f"{section} must be a section", table, f"Begin it with a line [{section}]."
            )
        return table

    def check_keys(self, section: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
        """Refuse keys that the section may not have."""
        known = tuple(known)
        for key, value in table.items():
            if key not in known:
                where = f"[{section}]" if section else "the file"
                raise self.error(
                    f"{where} has no key {key!r}.{suggest(key, known)}",
                    value,
                    f"It may have: {', '.join(known)}.",
                )

    def make_named(
        self, parent: Mapping[str, Any], key: str, cls: type, section: str = ""
    ) -> dict[str, Any]:
        """Make a dataclass of each entry of a table; the key is the name where it has one."""
        section = section or key
        made = {}
        for name, entry in self.get_table(section, parent, key).items():
            where = f"{section}.{name}"
            table = self.get_table(where, {name: entry}, name)
            own = {"name": name} if "name" in _get_fields(cls) else {}
            made[name] = self.make(where, cls, table, own)
        return made

    def make(
        self,
        section: str,
        cls: type,
        table: Mapping[str, Any],
        own: Mapping[str, Any] | None = None,
        skip: tuple[str, ...] = (),
    ) -> Any:
        """Make a dataclass of a table.

        Args:
            section: Name of the table, for error messages.
            cls: The dataclass.
            table: Its fields.
            own: Fields that do not stand in the table.
            skip: Fields of the table that are checked elsewhere; mappings are left to the caller.
        """
        own = dict(own or {})
        hints = typing.get_type_hints(cls)
        fields = {name: each for name, each in _get_fields(cls).items() if name not in own}
        self.check_keys(section, table, fields)
        for name, field in fields.items():
            is_required = (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            )
            if is_required and name not in table:
                raise self.error(
                    f"[{section}] must have the key {name!r}",
                    ", ".join(table) or "none",
                    f"Add a line {name} = ...",
                )
        for name, value in table.items():
            if name in skip:
                if not isinstance(value, Mapping):
                    own[name] = value
            else:
                own[name] = self.check_type(f"{section}.{name}", value, hints[name])
        return cls(**own)

    def check_type(self, where: str, value: Any, hint: Any) -> Any:
        """Return a value as its type, or refuse it."""
        if isinstance(hint, types.UnionType):
            kinds = typing.get_args(hint)
            hint = next((kind for kind in kinds if _fits(value, kind)), kinds[0])
        if hint == WEIGHTS and isinstance(value, dict):
            for name, weight in value.items():
                self.check_type(f"{where}.{name}", weight, float)
        elif not _fits(value, hint):
            raise self.error(f"{where} must be {_describe(hint)}", value, "Change the line.")
        if isinstance(value, dict):
            return tuple((name, float(weight)) for name, weight in value.items())
        if typing.get_origin(hint) is tuple:
            return (value,) if isinstance(value, str) else tuple(value)
        return float(value) if hint is float else value


def _get_fields(cls: type) -> dict[str, Any]:
    return {field.name: field for field in dataclasses.fields(cls)}


def _fits(value: Any, hint: Any) -> bool:
    if hint == WEIGHTS:
        return False  # A table, which the caller looks into.
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if isinstance(value, str):  # One text may stand for a list of one.
            return inner == (str, ...)
        if not isinstance(value, list):
            return False
        if inner[-1] is ...:
            return all(_fits(part, inner[0]) for part in value)
        return len(value) == len(inner) and all(map(_fits, value, inner))
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    if hint == WEIGHTS:
        return "weights by name, such as { brand = 5.0 }"
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)
        if inner[-1] is ...:
            return 'a list such as ["a", "b"]' if inner[0] is str else "a list"
        return f"a list of {len(inner)} numbers"
    words = {str: 'a text in "quotes"', int: "a whole number", float: "a number"}
    return words.get(hint, "true or false" if hint is bool else str(hint))
