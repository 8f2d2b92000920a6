"""The command line against a real server over gRPC, whose every answer is known."""

import csv
import io
import json
import os
import signal
import subprocess
import sys

import pytest
from tiny_model import ITEMS, USER_CHUNKS, USERS, compute_contributions, compute_ranking
from tiny_server import start_server

from tfx_pipeline import cli, workspace


@pytest.fixture
def addrl(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ADDRL_RUNS", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    address = start_server().address

    def call(command, *argv):
        code = cli.main([command, "planted", *argv, "--address", address])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_csv_of_all_users_is_the_closed_form(addrl):
    code, out, _ = addrl("recommend", *USERS, "--k", "6", "--include-seen", "--csv", "-")
    assert code == 0
    lists = {}
    for row in csv.DictReader(io.StringIO(out)):
        lists.setdefault(row["user"], []).append((row["item"], float(row["score"])))
    for user, chunks in zip(USERS, USER_CHUNKS, strict=True):
        expected = dict(compute_ranking(chunks))
        assert dict(lists[user]) == pytest.approx(expected, abs=1e-5)
        scores = [score for _, score in lists[user]]
        assert scores == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-5)


def test_weights_change_scores_as_they_should(addrl):
    code, out, _ = addrl("recommend", "u0", "--k", "6", "--weight", "year=3", "--json")
    assert code == 0
    items = json.loads(out)["users"][0]["items"]
    assert "i2" not in [item["item_id"] for item in items]  # u0 has it
    for item in items:
        number = ITEMS.index(item["item_id"])
        expected = compute_contributions(USER_CHUNKS[0], number, (3.0, 1.0, 1.0))
        assert list(item["contributions"].values()) == pytest.approx(expected, abs=1e-5)
        assert item["score"] == pytest.approx(sum(expected), abs=1e-5)


def test_a_filter_leaves_only_what_has_the_value(addrl):
    _, out, _ = addrl("recommend", "u2", "--k", "6", "--filter", "genre=Comedy", "--json")
    items = json.loads(out)["users"][0]["items"]
    assert {item["item_id"] for item in items} == {"i0", "i2", "i5"}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["u0", "--k", "7"], ["k must be in 1..6", "7"]),
        (["u0", "--filter", "genre=Comdy"], ["genre=Comdy"]),
        (["u0", "--want", "year=older"], ["year=older"]),
        (["u0", "--weight", "yaer=2"], ["'yaer'", "Did you mean 'year'?", "year, genre, residual"]),
    ],
)
def test_what_the_model_does_not_have_is_named_in_one_line(addrl, argv, words):
    code, out, err = addrl("recommend", "--k", "2", *argv)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_explain_and_status_reach_the_server(addrl):
    code, out, _ = addrl("explain", "u0", "i3", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["score"] == pytest.approx(sum(compute_contributions(USER_CHUNKS[0], 3)), abs=1e-5)
    code, _, err = addrl("explain", "u0", "i9")
    assert code == 2 and "i9" in err
    code, out, _ = addrl("status", "--json")
    assert code == 0
    assert json.loads(out)["server"] == {"1": "AVAILABLE"}


def test_a_port_where_nothing_listens_is_one_line(capsys, assert_below):
    def ask():
        code = cli.main(["recommend", "planted", "u0", "--address", "localhost:9"])
        err = capsys.readouterr().err
        assert code == 1
        assert err.count("\n") == 1 and "`addrl serve planted`" in err

    assert_below(5, ask)


_HOLD = """
import sys, pathlib
from tfx_pipeline import workspace
from tfx_pipeline.commands.local_server import start_server
place = workspace.Workspace(pathlib.Path(sys.argv[1]), "planted")
with start_server(place) as address:
    print(address, flush=True)
    sys.stdin.read()
"""


def test_the_server_of_the_demo_stops_with_its_parent(tmp_path):
    place = workspace.Workspace(tmp_path, "planted")
    place.serving.mkdir(parents=True)
    (place.serving / "1").symlink_to(start_server().folder / "addrl" / "1")
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    address = holder.stdout.readline().strip()
    assert cli.main(["recommend", "planted", "u0", "--k", "1", "--address", address]) == 0
    holder.send_signal(signal.SIGTERM)
    assert holder.wait(60) == 128 + signal.SIGTERM
    holder.stdin.close()
    holder.stdout.close()
    assert cli.main(["recommend", "planted", "u0", "--k", "1", "--address", address]) == 1
