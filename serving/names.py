"""Which contributions a version of the model has, for answers that do not say it themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

Names = tuple[str, ...]
# Versions to remember: enough for the servers behind one address while they change over.
_KEPT = 4


class ContributionNames:
    """Remembers names of contributions by version of the model. Safe to share between threads.

    Args:
        ask: asks the server for the names; returns them and the version that they are of.
    """

    def __init__(self, ask: Callable[[], tuple[Names, int]]):
        self._ask = ask
        self._lock = threading.Lock()
        self._kept: dict[int, Names] = {}

    def get_newest(self, refresh: bool = False) -> Names:
        """Returns the names that were learnt last; asks if there are none.

        Args:
            refresh: whether to ask in any case.

        Raises:
            ServingError: the server refused or did not answer.
        """
        with self._lock:
            if self._kept and not refresh:
                return next(reversed(self._kept.values()))
        return self._keep(*self._ask())

    def find(self, outputs: Mapping[str, Any], version: int) -> Names | None:
        """Returns the names of an answer's contributions.

        Args:
            outputs: decoded outputs with `contributions` `[batch, k, num_chunks]`.
            version: the version that answered.

        Returns:
            The names, None if another version took over before they could be learnt.

        Raises:
            ServingError: the server refused or did not answer.
        """
        if "contribution_names" in outputs:
            return self._keep(tuple(outputs["contribution_names"]), version)
        widths = {len(shares) for row in outputs["contributions"] for shares in row}
        with self._lock:
            names = self._kept.get(version)
        # The width differs when another model is served under the number of the one before.
        if names is None or widths - {len(names)}:
            self._keep(*self._ask())
            with self._lock:
                names = self._kept.get(version)
        return None if names is None or widths - {len(names)} else names

    def _keep(self, names: Names, version: int) -> Names:
        with self._lock:
            self._kept.pop(version, None)  # so that it comes last again
            self._kept[version] = names
            while len(self._kept) > _KEPT:
                self._kept.pop(next(iter(self._kept)))
        return names
