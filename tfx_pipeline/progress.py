"""What a person sees of a run: one line per event; everything else goes to a log file.

TensorFlow, Beam and TFX write through Python's logging, through absl, and from C++ straight to file
descriptor 2. Only redirecting the descriptors themselves catches all three.
"""

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import TextIO


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
        print(text, file=self._out, flush=True)

    def _print(self, text: str) -> None:
        width = len(str(self.total))
        place = f"[{self._index:{width}}/{self.total}] " if self.total else ""
        self.note(f"{place}{text}")


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
