"""Artifact types that TFX does not have."""

from tfx.types.artifact import Artifact


class DataBlessing(Artifact):
    """The verdict of the AnomalyGate; it exists only where the data passed."""

    TYPE_NAME = "AddrlDataBlessing"


class ReportPage(Artifact):
    """The report of a model: a page, and what it says as JSON (`tfx_pipeline/report/`)."""

    TYPE_NAME = "AddrlReportPage"


class DriftReport(Artifact):
    """How the data differ from those of the model in service (`tfx_pipeline/drift.py`)."""

    TYPE_NAME = "AddrlDriftReport"


class ModalityReport(Artifact):
    """Which items lack a modality and why, and how much was encoded (`encoders/report.py`)."""

    TYPE_NAME = "AddrlModalityReport"
