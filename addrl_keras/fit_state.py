"""The readable half of a fitted model on disk: names and configuration, loaded without Keras.

`saving.py` writes it, and has the other half.
"""

from __future__ import annotations

import json
import os
from typing import Any

FORMAT = 6
ARRAYS, STATE = "arrays.npz", "state.json"


def load_state(directory: str | os.PathLike) -> dict[str, Any]:
    """Loads the state of a fitted model.

    Args:
        directory: Where `saving.write_fit_result` wrote it.

    Returns:
        What stands in `state.json`: `config`, `item_ids`, `user_ids`, `values` by attribute, and
        more.

    Raises:
        ValueError: There is no fitted model, or one of another format.
    """
    paths = [os.path.join(directory, name) for name in (STATE, ARRAYS)]
    if not all(os.path.isfile(path) for path in paths):
        raise ValueError(
            f"There is no fitted model, which is the two files {STATE} and {ARRAYS}. "
            f"Received: {directory}. Write it with write_fit_result."
        )
    with open(paths[0], encoding="utf-8") as file:
        state = json.load(file)
    if state["format"] != FORMAT:
        raise ValueError(
            f"The fitted model must be of format {FORMAT}; train it again. "
            f"Received: {state['format']!r} in {directory}"
        )
    return state
