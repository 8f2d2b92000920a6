"""What goes wrong with encoders, and with one item's content."""

from tfx_pipeline.datasets.errors import DataError


class EncoderError(DataError):
    """Raised where an encoder cannot be found, loaded or called; the message is for a person."""


class ContentError(Exception):
    """Raised where one item's content cannot be encoded: it costs the item a modality, no more.

    Args:
        reason: What is wrong with it, a clause without a full stop.
        is_missing: Whether there is no content at all, as against broken content.
    """

    def __init__(self, reason: str, is_missing: bool = False):
        super().__init__(reason)
        self.reason = reason
        self.is_missing = is_missing
