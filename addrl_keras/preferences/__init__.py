"""The kinds of preference loss, one a file: a file added here is a kind that can be configured.

Each module has `compute_loss(step) -> scalar` for a `training_step.Step`, and `IS_DENSE`, whether
it scores the whole catalogue. `LossConfig.preference_kind` is the module's name.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def list_kinds() -> tuple[str, ...]:
    """Lists the kinds, without importing any.

    Example:
        >>> list_kinds()
        ('bpr', 'distillation', 'in_batch_softmax', 'sampled_softmax', 'softmax')
    """
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def get_kind(name: str) -> ModuleType:
    """Imports a kind's module."""
    return importlib.import_module(f"{__name__}.{name}")
