"""What to serve: a model's name, folder, versions and labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions on disk are served.

    Attributes:
        latest: how many of the highest numbers.
        specific: exactly these; wins over `latest`. This is how a version is pinned.
        serve_all: every version; wins over both.
    """

    latest: int = 1
    specific: tuple[int, ...] = ()
    serve_all: bool = False

    def select(self, available: list[int]) -> list[int]:
        """Returns the versions to serve, in ascending order.

        Example:
            >>> VersionPolicy().select([1, 3, 2])
            [3]
            >>> VersionPolicy(specific=(2, 9)).select([1, 3, 2])
            [2]
        """
        ordered = sorted(available)
        if self.serve_all:
            return ordered
        if self.specific:
            return [version for version in ordered if version in self.specific]
        return ordered[-self.latest :]


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """One model to serve.

    Attributes:
        name: what requests call it.
        base_path: folder with one numeric sub-folder a version.
        policy: which versions are served.
        labels: version by label, such as `stable` and `canary`.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def load_model_config(path: Path) -> list[ModelSettings]:
    """Reads a model config file of TensorFlow Serving (text form of ModelServerConfig).

    Args:
        path: the file.

    Returns:
        The models it lists.

    Raises:
        ValueError: the file cannot be read, is no ModelServerConfig or lists no model.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    try:
        config = text_format.Parse(path.read_text(), model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ValueError(
            f"--model_config_file is not a readable ModelServerConfig. Received: {path} ({error}). "
            "See serving/models.config for the form."
        ) from error
    models = [_make_settings(model) for model in config.model_config_list.config]
    if not models:
        raise ValueError(
            f"--model_config_file lists no model. Received: {path}. "
            "Add a `config { name: ... base_path: ... }` to its model_config_list."
        )
    return models


def _make_settings(model) -> ModelSettings:
    choice = model.model_version_policy
    kind = choice.WhichOneof("policy_choice")
    policy = VersionPolicy(
        latest=(choice.latest.num_versions or 1) if kind == "latest" else 1,
        specific=tuple(choice.specific.versions) if kind == "specific" else (),
        serve_all=kind == "all",
    )
    return ModelSettings(model.name, Path(model.base_path), policy, dict(model.version_labels))
