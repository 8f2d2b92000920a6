"""Artifact types that TFX does not have."""

from tfx.types.artifact import Artifact


class DataBlessing(Artifact):
    """The verdict of the AnomalyGate; it exists only where the data passed."""

    TYPE_NAME = "AddrlDataBlessing"
