"""Contents of items: the text itself, or the bytes of the file that a column names."""

import hashlib
import os

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfx_pipeline.encoders.errors import ContentError

# A photo of this size is no photo; without a bound one wrong path could fill the memory.
MAX_FILE_BYTES = 100 * 2**20


def read_file(path: str) -> bytes:
    """Read a file from any filesystem that Beam knows.

    Args:
        path: A path or an address such as `gs://bucket/name.jpg`.

    Returns:
        Its bytes.

    Raises:
        ContentError: If there is no such file, or it is empty, too large or not to be read.
    """
    try:
        # Uncompressed, or Beam would unpack by the name's extension.
        file = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
        with file:
            data = file.read(MAX_FILE_BYTES + 1)
    except Exception as error:  # Each filesystem has exceptions of its own.
        if _is_absent(path):
            raise ContentError("no such file", is_missing=True) from error
        raise ContentError(f"the file cannot be read ({_word(error)})") from error
    if not data:
        raise ContentError("the file is empty (0 bytes)")
    if len(data) > MAX_FILE_BYTES:
        raise ContentError(f"the file is larger than {MAX_FILE_BYTES >> 20} MiB")
    return data


def compute_digest(content: str | bytes) -> str:
    """Compute what content is known by in the cache of vectors: 128 bits of sha256, in hexadecimal.

    Args:
        content: A text or the bytes of a file.

    Returns:
        32 hexadecimal digits.
    """
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:32]


def _is_absent(path: str) -> bool:
    try:
        return not os.path.isdir(path) and not FileSystems.exists(path)
    except Exception:  # Not even this can be found out: then it is no missing file.
        return False


def _word(error: BaseException) -> str:
    """The innermost cause in a line, as Beam wraps the errors of filesystems."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
