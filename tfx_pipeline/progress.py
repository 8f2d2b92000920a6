"""What a person sees of a run: one line per event; everything else goes to a log file.

TensorFlow, Beam and TFX write through Python's logging, through absl, and from C++ straight to file
descriptor 2. Only redirecting the descriptors themselves catches all three.

A step that takes long tells how far it is through `report`, from wherever it runs: on this machine
it reaches the person, on a worker elsewhere that worker's log.
"""

import contextlib
import logging
import os
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

# How often a line that is written over, or a new line where that cannot be, is printed at most.
_SECONDS_PER_UPDATE = 0.2
_SECONDS_PER_LINE = 10.0
_ERASE = "\r\x1b[K"

_reports = logging.getLogger(f"{__name__}.reports")


def report(text: str, is_result: bool = False) -> None:
    """Report how far the step is that goes on, or what it found.

    Args:
        text: A line, such as `image 1,024 of 4,006`.
        is_result: Whether it stays; else it is replaced by the next one.
    """
    _reports.info(text, extra={"is_result": is_result})


class Progress:
    """Prints one line when a step starts and one when it ends.

    Args:
        out: Where to print.
        total: Number of steps, 0 where it is not known.
    """

    def __init__(self, out: TextIO, total: int = 0):
        self._out = out
        self.total = total
        self._index = 0
        self._updated = -_SECONDS_PER_LINE
        self._is_open = False  # Whether the last line is one that is written over.

    def start(self, name: str) -> None:
        """Print that a step starts.

        Args:
            name: The step's name.
        """
        self._index += 1
        self._print(f"{name} ...")

    def end(self, name: str, seconds: float, cached: bool = False, failed: bool = False) -> None:
        """Print that the step that was started last has ended.

        Args:
            name: The step's name.
            seconds: How long it took.
            cached: Whether its result was taken from the cache.
            failed: Whether it failed.
        """
        how = "FAILED after" if failed else "cached in" if cached else "done in"
        self._print(f"{name} {how} {seconds:.1f} s")

    def note(self, text: str) -> None:
        """Print a line that belongs to no step.

        Args:
            text: The line.
        """
        start = _ERASE if self._is_open else ""
        self._is_open = False
        print(f"{start}{text}", file=self._out, flush=True)

    def update(self, text: str) -> None:
        """Print how far a step is: over the last such line on a terminal, else now and then.

        Args:
            text: The line.
        """
        is_terminal = self._out.isatty()
        wait = _SECONDS_PER_UPDATE if is_terminal else _SECONDS_PER_LINE
        if time.monotonic() - self._updated < wait:
            return
        self._updated = time.monotonic()
        if not is_terminal:
            self.note(text)
            return
        print(f"{_ERASE if self._is_open else ''}{text}", end="", file=self._out, flush=True)
        self._is_open = True

    @contextlib.contextmanager
    def listen(self) -> Iterator[None]:
        """Print what `report` gets while the context lasts."""
        handler = _ReportHandler(self)
        level = _reports.level
        _reports.addHandler(handler)
        _reports.setLevel(logging.INFO)
        try:
            yield
        finally:
            _reports.removeHandler(handler)
            _reports.setLevel(level)

    def _print(self, text: str) -> None:
        width = len(str(self.total))
        place = f"[{self._index:{width}}/{self.total}] " if self.total else ""
        self.note(f"{place}{text}")


class _ReportHandler(logging.Handler):
    """Hands reports on to what prints them."""

    def __init__(self, progress: Progress):
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        show = self._progress.note if record.is_result else self._progress.update
        show(f"      {record.getMessage()}")


@contextlib.contextmanager
def redirect_output(log_path: pathlib.Path, out: TextIO | None = None) -> Iterator[TextIO]:
    """Send everything that the process writes to a log file, but what is printed on the result.

    Args:
        log_path: The log file, made with its folder.
        out: Where the few lines for a person go; standard output by default.

    Yields:
        A stream that reaches `out` while the descriptors 1 and 2 lead to the log.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    target = out or sys.stdout
    target.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    # A stream on descriptor 1 or 2 needs a copy of it; others (a file, a test's capture) do not.
    visible = (
        os.fdopen(os.dup(saved[descriptor - 1]), "w")
        if (descriptor := _get_descriptor(target)) in (1, 2)
        else target
    )
    with open(log_path, "ab", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        yield visible
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for descriptor, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
        visible.flush()
        if visible is not target:
            visible.close()


def _get_descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, AttributeError):
        return None
