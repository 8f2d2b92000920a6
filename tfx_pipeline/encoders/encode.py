"""Beam transforms from contents to vectors: each distinct content is encoded once.

    (modality, item, value) ─ read ─ (digest, reference) ─ group ─ known? ─ yes ─ vector
                                                                     └ no ─ prepare, encode, keep

What travels between workers is a digest and the column's value, never a photo: a file that must be
encoded is read a second time, by the worker that encodes it.
"""

import concurrent.futures
import dataclasses
import functools
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared

from tfx_pipeline import progress
from tfx_pipeline.encoders import report
from tfx_pipeline.encoders.contents import compute_digest
from tfx_pipeline.encoders.errors import ContentError
from tfx_pipeline.encoders.handles import Resolved
from tfx_pipeline.encoders.hub_module import HubEncoder, compute_encoder_hash
from tfx_pipeline.encoders.preprocessing import read_content
from tfx_pipeline.encoders.vector_cache import VectorCache

VECTORS = "vectors"
PROBLEMS = "problems"
COUNTS = "counts"

# Decoding is quick beside encoding: more threads would only hold more photos at once.
_MAX_THREADS = 4
_SECONDS_PER_REPORT = 0.5

# (modality, item id, value of the column; for photos the path).
Reference = tuple[str, str, str]


@dataclasses.dataclass(frozen=True)
class EncoderSpec:
    """An encoder as the workers get it.

    Attributes:
        resolved: Where its SavedModel is.
        preprocessing: Name of the preprocessing.
        cache_dir: Folder of all caches.
        label: What progress calls it.
        total: Number of references, for progress.
        shared: Holds the loaded encoder once per worker.
    """

    resolved: Resolved
    preprocessing: str
    cache_dir: str
    label: str = "encoder"
    total: int = 0
    shared: Shared = dataclasses.field(default_factory=Shared)

    @property
    def encoder_hash(self) -> str:
        """What the vectors depend on: the module and how contents are prepared for it."""
        return compute_encoder_hash(self.resolved.identity, self.preprocessing)

    def load_cache(self) -> VectorCache:
        """Load the cache of the encoder's vectors."""
        return VectorCache(self.cache_dir, self.encoder_hash)

    def load_encoder(self) -> HubEncoder:
        """Load the encoder, or return the one that this worker has."""
        return self.shared.acquire(
            functools.partial(HubEncoder, self.resolved, self.preprocessing), tag=self.label
        )


@beam.ptransform_fn
def EncodeContents(references, spec):  # noqa: N802 (Beam names transforms so)
    """Encode what references name, by one encoder.

    Args:
        references: PCollection of (modality, item id, value).
        spec: The `EncoderSpec`.

    Returns:
        The PCollections `vectors` of (item id, (modality, bytes of float32)), `problems` of
        `Problem`, and `counts` of ((modality, name of a count), number).
    """
    digests = references | "Read" >> beam.ParDo(ReadFn(spec)).with_outputs(
        PROBLEMS, COUNTS, main=VECTORS
    )
    encoded = (
        digests[VECTORS]
        | "GroupContent" >> beam.GroupByKey()
        | "Encode" >> beam.ParDo(EncodeFn(spec)).with_outputs(PROBLEMS, COUNTS, main=VECTORS)
    )
    return {
        VECTORS: encoded[VECTORS],
        PROBLEMS: (digests[PROBLEMS], encoded[PROBLEMS]) | "Problems" >> beam.Flatten(),
        COUNTS: (digests[COUNTS], encoded[COUNTS]) | "Counts" >> beam.Flatten(),
    }


class _Advance:
    """Reports now and then how many references a worker is through with.

    Args:
        spec: The encoder.
        verb: What is done to them, in a word after their number; empty for encoding.
    """

    def __init__(self, spec: EncoderSpec, verb: str = ""):
        self._label, self._total = spec.label, spec.total
        self._verb = f" {verb}" if verb else ""
        self._done = 0
        self._reported = time.monotonic()

    def __call__(self, number: int) -> None:
        self._done += number
        if time.monotonic() - self._reported >= _SECONDS_PER_REPORT:
            self._reported = time.monotonic()
            progress.report(f"{self._label} {self._done:,} of {self._total:,}{self._verb}")


class ReadFn(beam.DoFn):
    """Reads the content of each reference, as `read_reference` does; for photos that takes long.

    Args:
        spec: The encoder.
    """

    def __init__(self, spec: EncoderSpec):
        self._spec = spec

    def setup(self) -> None:
        """Begin to count."""
        self._advance = _Advance(self._spec, "read")

    def process(self, reference: Reference) -> Iterator[Any]:
        """Yield the digest and the reference; or, tagged, the problem and its count."""
        yield from read_reference(reference, self._spec.preprocessing)
        self._advance(1)


def read_reference(reference: Reference, preprocessing: str) -> Iterator[Any]:
    """Read the content of a reference.

    Args:
        reference: The modality, the item and the column's value.
        preprocessing: Name of the modality's preprocessing.

    Yields:
        (digest, reference); or, tagged, the problem and its count.
    """
    try:
        yield compute_digest(read_content(preprocessing, reference[2])), reference
    except ContentError as error:
        yield from make_problem(reference, error)


def make_problem(reference: Reference, error: ContentError) -> Iterator[beam.pvalue.TaggedOutput]:
    """Make the outputs that say why an item lacks a modality.

    Args:
        reference: The modality, the item and the column's value.
        error: What is wrong.

    Yields:
        The problem and its count, tagged.
    """
    modality, item_id, value = reference
    kind = report.MISSING if error.is_missing else report.BROKEN
    source = _shorten(value) if value else report.EMPTY
    problem = report.Problem(item_id, modality, source, error.reason, kind)
    yield beam.pvalue.TaggedOutput(PROBLEMS, problem)
    yield beam.pvalue.TaggedOutput(COUNTS, ((modality, kind), 1))


@dataclasses.dataclass
class _Pending:
    """A content that is being prepared."""

    digest: str
    references: list[Reference]
    prepared: concurrent.futures.Future

    def get_size(self) -> int:
        return 0 if self.prepared.exception() else len(self.prepared.result())


class EncodeFn(beam.DoFn):
    """Looks each content up, and encodes in batches what is not known.

    While a batch goes through the encoder, threads prepare the next; how much is prepared at a time
    is bounded, so memory is, too.

    Args:
        spec: The encoder.
    """

    def __init__(self, spec: EncoderSpec):
        self._spec = spec

    def setup(self) -> None:
        """Load what is known; the encoder itself only where something is not."""
        self._cache = self._spec.load_cache()
        self._encoder: HubEncoder | None = None
        self._pool = concurrent.futures.ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1))
        self._advance = _Advance(self._spec)

    def start_bundle(self) -> None:
        """Begin with nothing pending."""
        self._pending: list[_Pending] = []

    def process(self, group: tuple[str, Iterable[Reference]]) -> Iterator[Any]:
        """Yield the vectors of a content that is known, or of a batch that became full."""
        digest, references = group[0], list(group[1])
        vector = self._cache.find(digest)
        if vector is not None:
            yield from self._emit(references, vector, report.CACHED)
            return
        if self._encoder is None:
            self._encoder = self._spec.load_encoder()
        prepared = self._pool.submit(self._prepare, digest, references[0][2])
        self._pending.append(_Pending(digest, references, prepared))
        limits = self._encoder.preprocessing
        if len(self._pending) >= limits.batch_size + limits.lookahead:
            yield from self._encode(limits.batch_size)

    def finish_bundle(self) -> Iterator[Any]:
        """Yield the vectors of all that is pending."""
        while self._pending:
            for output in self._encode(self._encoder.preprocessing.batch_size):
                if isinstance(output, beam.pvalue.TaggedOutput):
                    value = GlobalWindows.windowed_value(output.value)
                    yield beam.pvalue.TaggedOutput(output.tag, value)
                else:
                    yield GlobalWindows.windowed_value(output)

    def teardown(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _prepare(self, digest: str, value: str) -> Any:
        content = read_content(self._spec.preprocessing, value)
        if compute_digest(content) != digest:
            raise ContentError("the file changed while it was being read")
        return self._encoder.preprocessing.prepare(content)

    def _encode(self, size: int) -> Iterator[Any]:
        """Encode one batch of what is pending."""
        started = time.monotonic()
        if self._encoder.preprocessing.sorts:
            self._pending.sort(key=_Pending.get_size)
        batch, self._pending = self._pending[:size], self._pending[size:]
        sound = []
        for each in batch:
            error = each.prepared.exception()
            if error is None:
                sound.append(each)
            elif isinstance(error, ContentError):
                yield from self._emit_problem(each, error)
            else:
                raise error
        if not sound:
            return
        vectors = self._encoder.encode([each.prepared.result() for each in sound])
        usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
        self._cache.add(
            [each.digest for each, is_usable in zip(sound, usable, strict=True) if is_usable],
            vectors[usable],
        )
        share = (time.monotonic() - started) / len(sound)
        for each, vector, is_usable in zip(sound, vectors, usable, strict=True):
            modality = each.references[0][0]
            yield _count(modality, report.CONTENTS, 1)
            yield _count(modality, report.SECONDS, share)
            if is_usable:
                yield from self._emit(each.references, vector, report.ENCODED)
            else:
                error = ContentError("the encoder returned NaN, infinity or nothing but zeros")
                yield from self._emit_problem(each, error)

    def _emit(self, references: list[Reference], vector: np.ndarray, how: str) -> Iterator[Any]:
        data = vector.astype("<f4", copy=False).tobytes()
        for modality, item_id, _ in references:
            yield item_id, (modality, data)
            yield _count(modality, how, 1)
        self._advance(len(references))

    def _emit_problem(self, pending: _Pending, error: ContentError) -> Iterator[Any]:
        for reference in pending.references:
            yield from make_problem(reference, error)
        self._advance(len(pending.references))


def _count(modality: str, name: str, number: float) -> beam.pvalue.TaggedOutput:
    return beam.pvalue.TaggedOutput(COUNTS, ((modality, name), number))


def _shorten(value: str, letters: int = 300) -> str:
    return value if len(value) <= letters else f"{value[:letters]} ..."
