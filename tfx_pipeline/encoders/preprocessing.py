"""What turns contents into the input of a hub module, by the name in a modality's configuration.

`prepare` works on one content, in any thread; `collate` makes the module's input of several. A
change of either needs another `VERSION`, or vectors of before would be taken for those of now.
"""

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from tfx_pipeline.encoders.contents import read_file
from tfx_pipeline.encoders.errors import ContentError, EncoderError
from tfx_pipeline.encoders.images import decode_image

VERSION = 1
# What sentence-transformers gives all-MiniLM-L6-v2 at most, [CLS] and [SEP] counted.
MAX_PIECES = 256


class Preprocessing(Protocol):
    """Turns contents into a module's input.

    Attributes:
        batch_size: Contents in one call of the module.
        lookahead: Contents that are prepared while a batch is being encoded.
        sorts: Whether batches are made of contents of similar size.
        sample: A prepared content, to try a module with.
    """

    batch_size: int
    lookahead: int
    sorts: bool

    @property
    def sample(self) -> Any: ...

    def prepare(self, content: str | bytes) -> Any:
        """Prepare one content; raises `ContentError` where that cannot be done."""

    def collate(self, prepared: Sequence[Any]) -> Any:
        """Make the module's input of prepared contents."""


class Strings:
    """`none`: the module takes the strings themselves, `[batch]`."""

    batch_size = 64
    lookahead = 0
    sorts = False
    sample = "a"

    def prepare(self, content: str) -> str:
        """Return the text."""
        return content

    def collate(self, prepared: Sequence[str]) -> np.ndarray:
        """Return the texts, `[batch]`."""
        return np.array([text.encode() for text in prepared], object)


class WordPiece:
    """`wordpiece`: the pieces of BERT, by the module's own vocabulary.

    Args:
        vocabulary: File of the vocabulary, one piece a line.
        lower_case: Whether the module knows lower case alone.
    """

    batch_size = 64
    # Texts are small and their lengths differ: out of many, batches need little padding.
    lookahead = 960
    sorts = True

    def __init__(self, vocabulary: str | os.PathLike, lower_case: bool = True):
        from tokenizers import BertWordPieceTokenizer

        self._tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=lower_case)
        self._tokenizer.enable_truncation(MAX_PIECES)

    @property
    def sample(self) -> list[int]:
        """Ids of the pieces of a short text."""
        return self.prepare("a")

    def prepare(self, content: str) -> list[int]:
        """Return the ids of the pieces, between [CLS] and [SEP]."""
        return self._tokenizer.encode(content).ids

    def collate(self, prepared: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
        """Return int32 `[batch, longest]` as `input_word_ids`, `input_mask`, `input_type_ids`."""
        shape = (len(prepared), max(map(len, prepared)))
        words, mask = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        for row, ids in enumerate(prepared):
            words[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        return {"input_word_ids": words, "input_mask": mask, "input_type_ids": np.zeros_like(words)}


class Photos:
    """`image`: the column names a file; decoded, upright, resized, scaled to 0..1.

    Args:
        height: Of the module's input, in pixels.
        width: Likewise.
    """

    # Larger batches are no faster on processors, and what the first layers hold grows with them.
    batch_size = 16
    # With a batch, all that a worker holds of photos, whatever their number.
    lookahead = 48
    sorts = False

    def __init__(self, height: int, width: int):
        self.height = height
        self.width = width

    @property
    def sample(self) -> np.ndarray:
        """A black photo."""
        return np.zeros((self.height, self.width, 3), np.uint8)

    def prepare(self, content: bytes) -> np.ndarray:
        """Return the photo, uint8 `[height, width, 3]`."""
        return decode_image(content, self.height, self.width)

    def collate(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 `[batch, height, width, 3]` in 0..1."""
        images = np.empty((len(prepared), self.height, self.width, 3), np.float32)
        for image, photo in zip(images, prepared, strict=True):
            np.divide(photo, np.float32(255.0), out=image, dtype=np.float32)
        return images


def read_content(preprocessing: str, value: str) -> str | bytes:
    """Read the content that a column's value stands for.

    Args:
        preprocessing: Name of the modality's preprocessing.
        value: The value; empty where the item has none.

    Returns:
        The text, or for `image` the bytes of the file.

    Raises:
        ContentError: If there is none or it cannot be read.
    """
    if preprocessing == "image":
        if not value:
            raise ContentError("no file is named", is_missing=True)
        return read_file(value)
    if not value.strip():
        raise ContentError("an empty text", is_missing=True)
    return value


def make_preprocessing(name: str, module: Any) -> Preprocessing:
    """Make a preprocessing that fits a loaded module.

    Args:
        name: `none`, `wordpiece` or `image`.
        module: A `hub_module.Module`.

    Returns:
        The preprocessing.

    Raises:
        EncoderError: If the module lacks what it needs.
    """
    if name == "none":
        return Strings()
    if name == "image":
        return Photos(*module.find_image_size())
    if name != "wordpiece":
        raise EncoderError(
            f"There is no preprocessing of this name. Received: {name!r}. Choose one of none, "
            "wordpiece, image."
        )
    vocabulary = module.find_vocabulary()
    if vocabulary is None:
        raise EncoderError(
            "The preprocessing 'wordpiece' needs a module with a vocabulary, as `vocab_file`. "
            f"Received: {module.handle}. Use the preprocessing 'none', if it takes strings."
        )
    return WordPiece(*vocabulary)
