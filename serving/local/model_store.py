"""Keeps the right versions of one model loaded and never stops serving to do so."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from serving.errors import ServingError
from serving.local.config import ModelSettings

# ModelVersionStatus.State of TensorFlow Serving.
START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclasses.dataclass(eq=False)
class VersionEntry:
    """What the store knows about one version."""

    version: int
    path: Path
    state: int = START
    error: ServingError | None = None
    servable: Any = None
    in_flight: int = 0
    fingerprint: Fingerprint = ()


class ModelStore:
    """Loads, warms up, swaps and unloads the versions of one model.

    A new version takes over only after it was loaded and its warm-up requests ran; the old one
    serves until then and is closed by its last request, so that no look at the folder waits for a
    request that hangs. A version that fails is reported with its error and left alone until
    something in its folder changes, so that a version whose files are still being copied gets
    another chance.

    Args:
        settings: the model.
        load: makes a warm servable of a version's number and folder, or raises `ServingError`.
        log: receives one line an event.
    """

    def __init__(
        self,
        settings: ModelSettings,
        load: Callable[[int, Path], Any],
        log: Callable[[str], None],
    ):
        self.settings = settings
        self._load = load
        self._log = log
        self._versions: dict[int, VersionEntry] = {}
        # Versions on their way out, which their requests still hold.
        self._leaving: list[VersionEntry] = []
        self._changed = threading.Condition()

    def poll(self) -> None:
        """Brings what is loaded in line with what lies on disk."""
        found = list_versions(self.settings.base_path)
        if found is None:
            self._log(f"folder {self.settings.base_path} of {self.settings.name} is not there")
            return
        self._forgive_removed(found)
        wanted = self.settings.policy.select(list(found))
        for version in wanted:
            self._load_version(version, found[version])
        # Never unload the last working version because its replacement is broken.
        if not wanted or any(self._is_available(version) for version in wanted):
            for version in self.available():
                if version not in wanted:
                    self._unload_version(version)

    def available(self) -> list[int]:
        """Returns the versions that serve, in ascending order."""
        with self._changed:
            return sorted(
                version for version, entry in self._versions.items() if entry.state == AVAILABLE
            )

    def entries(self) -> list[VersionEntry]:
        """Returns a copy of what is known about each version, newest first."""
        with self._changed:
            entries = [dataclasses.replace(entry) for entry in self._versions.values()]
        return sorted(entries, key=lambda entry: -entry.version)

    @contextlib.contextmanager
    def use(self, version: int | None = None, label: str | None = None) -> Iterator[Any]:
        """Holds a version for one request, so that it is not closed under it.

        Args:
            version: the version; None for the highest that serves.
            label: a label in place of a number.

        Yields:
            The servable.

        Raises:
            ServingError: NOT_FOUND if it does not serve, INVALID_ARGUMENT for an unknown label.
        """
        with self._changed:
            entry = self._find(version, label)
            entry.in_flight += 1
        try:
            yield entry.servable
        finally:
            with self._changed:
                entry.in_flight -= 1
            self._close_if_idle(entry)

    def close(self, timeout: float = 10.0) -> None:
        """Unloads everything, after the requests under way.

        Args:
            timeout: seconds to wait for them; a version that is still in use then stays open, and
                the log says so.
        """
        for version in self.available():
            self._unload_version(version)
        with self._changed:
            self._changed.wait_for(lambda: not self._leaving, timeout)
            late = sorted(entry.version for entry in self._leaving)
        if late:
            versions = ", ".join(map(str, late))
            self._log(f"version {versions} still answers after {timeout:g} s, left open")

    def _find(self, version: int | None, label: str | None) -> VersionEntry:
        name = self.settings.name
        if label:
            if label not in self.settings.labels:
                raise ServingError(
                    "INVALID_ARGUMENT", f"Unrecognized servable version label: {label}"
                )
            version = self.settings.labels[label]
        serving = [entry for entry in self._versions.values() if entry.state == AVAILABLE]
        if version is not None:
            serving = [entry for entry in serving if entry.version == version]
        if not serving:
            asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            # Clients made for OpenVINO send 0 for the newest; TensorFlow Serving refuses it too.
            hint = ". Leave the version out to ask the newest." if version == 0 else ""
            raise ServingError("NOT_FOUND", f"Servable not found for request: {asked}{hint}")
        return max(serving, key=lambda entry: entry.version)

    def _is_available(self, version: int) -> bool:
        entry = self._versions.get(version)
        return entry is not None and entry.state == AVAILABLE

    def _forgive_removed(self, found: dict[int, Path]) -> None:
        """Lets a failed version that was taken away be tried again when it comes back."""
        with self._changed:
            for version, entry in self._versions.items():
                if version not in found:
                    entry.fingerprint = ()

    def _load_version(self, version: int, path: Path) -> None:
        if self._is_available(version):
            return
        fingerprint = compute_fingerprint(path)
        known = self._versions.get(version)
        if known and known.error and known.fingerprint == fingerprint:
            return
        entry = VersionEntry(version, path, LOADING, fingerprint=fingerprint)
        with self._changed:
            self._versions[version] = entry
        started = time.monotonic()
        try:
            servable = self._load(version, path)
        except Exception as error:
            # Nothing that a new version does may end the server that runs the old one.
            refusal = (
                error
                if isinstance(error, ServingError)
                else ServingError("INTERNAL", f"{error!r} ({path})")
            )
            with self._changed:
                entry.error, entry.state = refusal, END
            goes_on = ", ".join(map(str, self.available())) or "no version"
            self._log(f"version {version} refused: {refusal}; {goes_on} goes on serving")
            return
        with self._changed:
            entry.servable, entry.state = servable, AVAILABLE
        self._log(f"version {version} serves, loaded in {time.monotonic() - started:.1f} s")

    def _unload_version(self, version: int) -> None:
        with self._changed:
            entry = self._versions[version]
            entry.state = UNLOADING
            self._leaving.append(entry)
        self._close_if_idle(entry)

    def _close_if_idle(self, entry: VersionEntry) -> None:
        """Closes a version that is to be unloaded, unless a request still holds it."""
        with self._changed:
            if entry.state != UNLOADING or entry.in_flight or entry.servable is None:
                return
            servable, entry.servable = entry.servable, None
        try:
            servable.close()
        except Exception as error:  # must not become the answer of the request that came last
            self._log(f"version {entry.version} was not closed in order: {error!r}")
        with self._changed:
            entry.state = END
            self._leaving.remove(entry)
            self._changed.notify_all()
        self._log(f"version {entry.version} unloaded")


def list_versions(base_path: Path) -> dict[int, Path] | None:
    """Returns the numeric sub-folders of a model's folder, None if it is not there."""
    try:
        children = list(base_path.iterdir())
    except OSError:
        return None
    # Digits such as "²" count as digits too, and int() refuses them.
    numeric = [child for child in children if child.name.isascii() and child.name.isdigit()]
    return {int(child.name): child for child in numeric if child.is_dir()}


def compute_fingerprint(path: Path) -> Fingerprint:
    """Returns names, sizes and times of the files under a folder, to notice any change."""
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                stat = os.stat(os.path.join(folder, name))
                found.append((os.path.join(folder, name), stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))
