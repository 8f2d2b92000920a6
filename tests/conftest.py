"""What all tests share. Keras 2 names must be fixed before anything imports TensorFlow."""

import dataclasses
import io
import os
import pathlib
import time
from collections.abc import Callable

import pytest

# First of all: it puts its own distutils in place of Python's, and refuses where a test has brought
# in the other; TFX imports it somewhere in the middle.
import setuptools  # noqa: F401

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@dataclasses.dataclass(frozen=True)
class PlantedRun:
    """A finished run of the preset `planted`.

    Attributes:
        runs_dir: Folder of all runs; the run is in `planted`.
        result: Its `RunResult`.
        printed: What it printed.
    """

    runs_dir: pathlib.Path
    result: object
    printed: str


def time_fastest(call: Callable[[], object], below: float) -> float:
    """Return the seconds that a call takes where other processes do not slow it down.

    Args:
        call: What is timed, up to five times; it may assert what has to hold each time.
        below: A bound in seconds. The first call that keeps it is fast enough and the last.
    """
    fastest = float("inf")
    for _ in range(5):
        start = time.monotonic()
        call()
        fastest = min(fastest, time.monotonic() - start)
        if fastest < below:
            break
    return fastest


@pytest.fixture
def assert_below() -> Callable[[float, Callable[[], object]], None]:
    """Give a function that fails unless a call can be done in less than so many seconds."""

    def check(seconds: float, call: Callable[[], object]) -> None:
        assert time_fastest(call, seconds) < seconds

    return check


@pytest.fixture(scope="session")
def planted_run(tmp_path_factory) -> PlantedRun:
    """Run the pipeline on the planted data once for all tests (1 to 2 minutes)."""
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.local_runner import run

    runs_dir = tmp_path_factory.mktemp("runs")
    out = io.StringIO()
    result = run(get_preset("planted"), runs_dir=runs_dir, out=out)
    return PlantedRun(runs_dir, result, out.getvalue())
