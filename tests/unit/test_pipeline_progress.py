"""What a person sees of a run, and what goes to the log instead."""

import io
import subprocess
import sys

import pytest

from tfx_pipeline.progress import Progress

NOISE = """
import os, pathlib, sys
from tfx_pipeline.progress import Progress, redirect_output
with redirect_output(pathlib.Path(sys.argv[1])) as visible:
    print("python noise")
    print("more noise", file=sys.stderr)
    os.write(2, b"noise of C++\\n")
    Progress(visible).note("a line for a person")
print("afterwards")
"""


def test_noise_of_every_origin_goes_to_the_log_and_only_there(tmp_path):
    log = tmp_path / "logs" / "run.log"
    done = subprocess.run(
        [sys.executable, "-c", NOISE, str(log)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "a line for a person\nafterwards\n"
    assert done.stderr == ""
    for noise in ("python noise", "more noise", "noise of C++"):
        assert noise in log.read_text()


def test_lines_say_which_step_of_how_many():
    out = io.StringIO()
    progress = Progress(out, total=10)
    progress.start("Data")
    progress.end("Data", 1.26)
    progress.start("Transform")
    progress.end("Transform", 0.1, cached=True)
    progress.start("Trainer")
    progress.end("Trainer", 3.0, failed=True)
    assert out.getvalue().splitlines() == [
        "[ 1/10] Data ...",
        "[ 1/10] Data done in 1.3 s",
        "[ 2/10] Transform ...",
        "[ 2/10] Transform cached in 0.1 s",
        "[ 3/10] Trainer ...",
        "[ 3/10] Trainer FAILED after 3.0 s",
    ]


def test_an_error_names_component_cause_and_log(tmp_path):
    from tfx_pipeline.local_runner import make_error

    class ComponentError(RuntimeError):
        component = "Trainer"

    try:
        try:
            raise KeyError("column [while running 'ReadParquet/Map']")
        except KeyError as cause:
            raise ComponentError("wrapped in pages") from cause
    except ComponentError as error:
        made = make_error(error, tmp_path / "run.log")
    assert made.component == "Trainer"
    assert str(made).startswith("Trainer failed: KeyError: ")
    assert "column" in str(made) and "while running" not in str(made)
    assert str(made).endswith(f"The log is {tmp_path / 'run.log'}")


def test_an_error_written_for_a_person_is_not_replaced_by_what_caused_it(tmp_path):
    from tfx_pipeline.dag_runner import ComponentError
    from tfx_pipeline.datasets.errors import DataError
    from tfx_pipeline.local_runner import make_error

    made = DataError("ml-100k.item, line 3: not UTF-8. Convert the file to UTF-8.")
    made.__cause__ = UnicodeDecodeError("utf-8", b"\xa8", 0, 1, "invalid start byte")
    wrapped = ComponentError("Data", "codec")
    wrapped.__cause__ = made
    assert "Data failed: ml-100k.item, line 3: not UTF-8." in str(make_error(wrapped, tmp_path))


def test_a_result_survives_json(tmp_path):
    from tfx_pipeline.results import (
        ComponentRun,
        RunResult,
        Verdict,
        load_last_result,
        write_result,
    )

    result = RunResult(
        preset="p",
        metrics={"recall_at_20": 0.5},
        slices={"genre": {"Drama": {"recall_at_20": 0.25}}},
        baseline={},
        verdicts=(Verdict("data", True, "no anomalies"), Verdict("quality", False, "too low")),
        pushed=None,
        components=(ComponentRun("Trainer", 1.5, False),),
        seconds=2.0,
        log="x.log",
    )
    (tmp_path / "p").mkdir()
    write_result(result, tmp_path / "p")
    assert load_last_result(tmp_path, "p") == result
    assert not result.passed and not result.is_new and result.reason == "quality: too low"


@pytest.mark.parametrize("cached", [True, False])
def test_only_a_push_of_this_run_is_new(cached):
    from tfx_pipeline.results import ComponentRun, RunResult

    runs = (ComponentRun("Pusher", 0.1, cached),)
    assert RunResult("p", {}, {}, {}, (), "serving/1", runs, 1.0, "log").is_new is not cached


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_reports_of_a_step_are_written_over_on_a_terminal(monkeypatch):
    from tfx_pipeline import progress as module

    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    out = Terminal()
    progress = Progress(out)
    with progress.listen():
        for number in range(1, 5):
            module.report(f"image {number} of 4")
            now[0] += 0.15  # Of these every second is soon enough after the one before.
        module.report("image: 4 encoded", is_result=True)
    module.report("nobody listens")
    progress.note("done")
    erase = "\r\x1b[K"
    assert out.getvalue() == (
        f"      image 1 of 4{erase}      image 3 of 4{erase}      image: 4 encoded\ndone\n"
    )


def test_reports_are_a_line_now_and_then_where_nothing_can_be_written_over(monkeypatch):
    from tfx_pipeline import progress as module

    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Progress(out).listen():
        for number in range(25):
            module.report(f"{number} of 25")
            now[0] += 1.0
        module.report("all", is_result=True)
    assert out.getvalue().split("\n") == [
        "      0 of 25",
        "      10 of 25",
        "      20 of 25",
        "      all",
        "",
    ]
