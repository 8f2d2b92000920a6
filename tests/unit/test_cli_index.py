"""`addrl index add`: what it prints of an outcome, and what it says before anything is loaded."""

import dataclasses
import json

import pytest

from tfx_pipeline import cli
from tfx_pipeline.commands.index import describe_values
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.index import update
from tfx_pipeline.index.outcome import Alike, LeftOut, Outcome, Unreadable
from tfx_pipeline.results import PipelineError

COUNTS = {"known": 2, "missing": 0, "as_other": 1, "new_values": {"Nova": 2, "Vega": 1}}
OUTCOME = Outcome(
    preset="planted",
    base=7,
    item_ids=("a", "b"),
    titles={"a": "Robot"},
    left_out=(LeftOut("c", "new.csv, line 4", "nothing is known of it"),),
    ignored=("note",),
    unreadable=(Unreadable("Preis", 4, 9, ("'?' in line 2 (this is no number)",)),),
    modalities={
        "photo": {"encoded": 1, "from_cache": 0, "given": 0, "missing": 0, "broken": 1},
    },
    problems=("item 'b', b.jpg: not an image",),
    problems_path="problems.jsonl",
    attributes={"studio": COUNTS},
    alike={"a": (Alike("i1", "Galaxy", 0.75), Alike("i2", "", 0.5)), "b": ()},
    gate={"latency_ms": 4.26, "num_requests": 20},
    refusals=(),
    pushed=9,
    serving="serving",
    num_items=1234,
    seconds=185.0,
    log="the.log",
)


@pytest.fixture
def addrl(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("NO_COLOR", "1")
    items = tmp_path / "new.csv"
    items.write_text("item_id\na\n")

    def call(*argv):
        code = cli.main(["index", "add", "planted", str(items), "--runs", str(tmp_path), *argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def adder(monkeypatch):
    """Replaces the work; `outcome` is what it returns or raises, `calls` what it was asked."""

    class Adder:
        outcome = OUTCOME
        calls = ()

        def __call__(self, config, path, **settings):
            self.calls = (*self.calls, (config.name, path, settings))
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

    fake = Adder()
    monkeypatch.setattr(update, "add_items", fake)
    return fake


def test_it_says_what_was_read_found_and_pushed(addrl, adder, tmp_path):
    code, out, err = addrl()
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert (code, err) == (0, "")
    for line in (
        f"3 items read from {tmp_path}/new.csv",
        "columns that nothing reads: note",
        "column 'Preis': 4 of 9 values cannot be read and count as missing: '?' in line 2 (this is "
        "no number), ...",
        "left out: item 'c', new.csv, line 4: nothing is known of it",
        "photo: 1 encoded, 1 broken",
        "- item 'b', b.jpg: not an image",
        "all of them: problems.jsonl",
        "studio 2 0 Nova (2), Vega (1)",
        "Robot (a) looks like Galaxy (i1) (0.75), item i2 (0.50)",
        "item b looks like nothing that is known",
        "servability gate: passed, 20 requests replayed, recommend 4.3 ms",
        f"pushed to {tmp_path}/planted/serving/9: version 7 and 2 new items, 1,234 items in all, "
        "3 min 05 s",
    ):
        assert line in lines
    assert "`addrl rollback planted` takes it back" in lines[-1]
    assert "put these items there, too" in lines[-1]


def test_a_refusal_and_a_dry_run_push_nothing(addrl, adder):
    adder.outcome = dataclasses.replace(OUTCOME, pushed=None, refusals=("it is slow", "it is odd"))
    code, out, _ = addrl()
    assert code == 1 and "pushed to" not in out
    assert "servability gate: REFUSED, it is slow\nservability gate: REFUSED, it is odd\n" in out
    assert out.endswith("not pushed: version 7 stays in service\n")
    adder.outcome = dataclasses.replace(OUTCOME, pushed=None)
    code, out, _ = addrl("--dry-run")
    assert code == 0 and "not pushed, as --dry-run was given: version 7 and 2 new items" in out
    assert adder.calls[-1][2]["dry_run"] is True and adder.calls[0][2]["dry_run"] is False


def test_json_is_one_document(addrl, adder, tmp_path):
    code, out, _ = addrl("--json", "--cache", str(tmp_path / "kept"))
    document = json.loads(out)
    assert code == 0 and document["passed"] and document["pushed"] == 9
    assert document["alike"]["a"][0] == {"item_id": "i1", "title": "Galaxy", "similarity": 0.75}
    assert document["left_out"][0]["item_id"] == "c"
    assert document["unreadable"][0] == {
        "column": "Preis",
        "count": 4,
        "given": 9,
        "first": ["'?' in line 2 (this is no number)"],
    }
    name, _, settings = adder.calls[0]
    assert name == "planted" and settings["runs_dir"] == tmp_path
    assert settings["cache_dir"] == tmp_path / "kept"


@pytest.mark.parametrize("error", [DataError("no such column"), PipelineError("a run goes on")])
def test_what_does_not_allow_it_is_one_line(addrl, adder, error):
    adder.outcome = error
    assert addrl() == (1, "", f"addrl index: {error}\n")


def test_many_new_values_are_cut_short():
    counts = {"new_values": {f"v{number}": 2000 - number for number in range(8)}}
    words = describe_values(counts)
    assert words.startswith("v0 (2,000), v1 (1,999)") and words.endswith(" and 3 more")
    assert describe_values({"new_values": {}}) == ""


def test_mistakes_are_said_at_once(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ADDRL_RUNS", str(tmp_path))
    assert cli.main(["index", "add", "planted", "none.csv"]) == 2
    assert "there is no such file. Received: 'none.csv'" in capsys.readouterr().err
    path = tmp_path / "new.csv"
    path.touch()
    assert cli.main(["index", "add", "planted", str(path)]) == 1
    assert "There is no version to add items to." in capsys.readouterr().err
    (tmp_path / "planted" / "serving" / "5").mkdir(parents=True)
    assert cli.main(["index", "add", "planted", str(path)]) == 1
    assert "Train and push it again with `addrl run`" in capsys.readouterr().err
    assert cli.main(["index", "ad", "planted", str(path)]) == 2
    assert "Did you mean 'add'?" in capsys.readouterr().err
