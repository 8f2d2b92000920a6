"""The commands that run pipelines and move versions, with a runner that does not train."""

import contextlib
import dataclasses
import json
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.results import Recommendations, RecommendedItem
from tfx_pipeline import cli, local_runner, locks, workspace
from tfx_pipeline.commands import baselines, demo
from tfx_pipeline.commands.errors import CommandError
from tfx_pipeline.configs import get_preset
from tfx_pipeline.results import ComponentRun, PipelineError, RunResult, Verdict, write_result

SLICES = {
    "year": {
        ">=1998": {"recall_at_20": 0.7, "ndcg_at_20": 0.6, "users": 10.0},
        "<=1971": {"recall_at_20": 0.5, "ndcg_at_20": 0.4, "users": 30.0},
        "(missing)": {"recall_at_20": 0.1, "ndcg_at_20": 0.1, "users": 2.0},
    },
    "genre": {f"g{i}": {"recall_at_20": 0.5, "users": 1.0} for i in range(9)},
    "popularity": {"<=9": {"recall_at_20": 0.25, "ndcg_at_20": 0.2, "users": 42.0}},
}


def _make_result(tmp_path, passed=True):
    gates = (
        Verdict("data", True, "no anomalies"),
        Verdict("quality", passed, "fine" if passed else "ndcg_at_20 is 0.1000, required 0.2000"),
    )
    return RunResult(
        preset="planted",
        metrics={"recall_at_20": 0.61234, "ndcg_at_20": 0.45, "users": 42.0},
        slices=SLICES,
        baseline={},
        verdicts=gates,
        pushed=f"{tmp_path}/planted/serving/5" if passed else None,
        components=(ComponentRun("Trainer", 3.0, True), ComponentRun("Pusher", 1.0, False)),
        seconds=185.0,
        log="the.log",
    )


@pytest.fixture
def data(tmp_path):
    """Canonical tables of 30 users who like every second item, even or odd."""
    generator = np.random.default_rng(0)
    rows = {"train": [], "validation": [], "test": []}
    for user in range(30):
        for item in range(user % 2, 40, 2):
            split = generator.choice(list(rows), p=[0.5, 0.25, 0.25])
            rows[split].append((f"u{user}", f"i{item:02d}"))
    root = tmp_path / "planted" / "data"
    for split, pairs in rows.items():
        users, items = zip(*pairs, strict=True)
        folder = root / "interactions" / split
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"user_id": users, "item_id": items}), folder / "a.parquet")
    (root / "items").mkdir()
    years = [None if i == 7 else 1960 + i for i in range(40)]
    columns = {
        "item_id": [f"i{i:02d}" for i in range(40)],
        "title": [f"Title {i}" for i in range(40)],
        "release_year": years,
        "popularity": [[i] for i in range(40)],
        "genres": [["Comedy"] if i % 2 else ["Drama", "War"] for i in range(40)],
    }
    pq.write_table(pa.table(columns), root / "items" / "a.parquet")
    return workspace.Workspace(tmp_path, "planted")


@pytest.fixture
def runner(monkeypatch, tmp_path):
    """Replaces the runner; `runner.result` is what it returns or raises."""

    class Runner:
        def __init__(self):
            self.result = _make_result(tmp_path)
            self.calls = []

        def __call__(self, config, **settings):
            self.calls.append((config.name, settings))
            if isinstance(self.result, Exception):
                raise self.result
            return self.result

    fake = Runner()
    monkeypatch.setattr(local_runner, "run", fake)
    return fake


@pytest.fixture
def addrl(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ADDRL_RUNS", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*argv):
        code = cli.main([str(part) for part in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def _find(out, start):
    return next(line.split() for line in out.splitlines() if line.strip().startswith(start))


def test_run_prints_metrics_beside_the_baselines_and_verdicts(addrl, runner, data, tmp_path):
    code, out, err = addrl("run", "planted", "--runs", tmp_path)
    assert (code, err) == (0, "")
    assert _find(out, "AD-DRL")[-2:] == ["0.6123", "0.4500"]
    # Two slices only, those with the fewest values; bins in their order, what is missing last.
    assert "by release year" in out and "by popularity" in out and "by genre" not in out
    order = [
        line.split()[0] for line in out.splitlines() if line.startswith(("<=1971", ">=", "(m"))
    ]
    assert order == ["<=1971", ">=1998", "(missing)"]
    found = json.loads(data.baselines.read_text())["baselines"]
    for name, title in (
        ("most_popular", "most popular"),
        ("item_knn", "ItemKNN"),
        ("ease", "EASE"),
    ):
        figures = _find(out, title)[-2:]
        assert figures == [f"{found[name][m]:.4f}" for m in ("recall_at_20", "ndcg_at_20")]
    expected = [f"{found[n]['slices']['popularity']['<=9']['recall_at_20']:.4f}" for n in found]
    assert _find(out, "<=9") == ["<=9", "42", "0.2500", *expected]
    assert _find(out, "quality")[1] == "passed"
    assert "2 components in 3 min 05 s, 1 from the cache" in out
    assert f"model pushed to {tmp_path}/planted/serving/5" in out


def test_run_says_so_where_the_model_was_withdrawn_since(addrl, runner, data, tmp_path):
    components = [dataclasses.replace(c, cached=True) for c in runner.result.components]
    runner.result = dataclasses.replace(runner.result, components=tuple(components))
    code, out, _ = addrl("run", "planted")
    text = " ".join(out.split())
    assert code == 0 and "withdrawn since: it stays out of service" in text
    (tmp_path / "planted" / "serving" / "5").mkdir(parents=True)
    _, out, _ = addrl("run", "planted")
    assert "withdrawn" not in out and "model unchanged, pushed before to" in " ".join(out.split())


def test_run_ends_with_1_where_a_gate_refuses(addrl, runner, data, tmp_path):
    runner.result = _make_result(tmp_path, passed=False)
    code, out, _ = addrl("run", "planted", "--demo")
    assert code == 1
    assert _find(out, "quality")[1] == "REFUSED"
    assert "not pushed: quality: ndcg_at_20 is 0.1000, required 0.2000" in out


def test_run_passes_folders_on_and_reports_a_failure(addrl, runner, tmp_path, monkeypatch):
    monkeypatch.setenv("ADDRL_CACHE", str(tmp_path / "kept"))
    runner.result = PipelineError("Trainer failed: no examples\nThe log is the.log")
    code, out, err = addrl("run", "planted", "--data", tmp_path)
    assert (code, out) == (1, "")
    assert err == "addrl run: Trainer failed: no examples\nThe log is the.log\n"
    name, settings = runner.calls[0]
    assert name == "planted"
    assert settings["data_dir"] == tmp_path
    assert settings["runs_dir"] == tmp_path
    assert settings["cache_dir"] == tmp_path / "kept"


def test_run_goes_on_where_the_baselines_cannot_be_measured(addrl, runner, data, monkeypatch):
    def fail(*_):
        raise ValueError("no room for EASE")

    monkeypatch.setattr(baselines, "evaluate_baselines", fail)
    code, out, err = addrl("run", "planted")
    assert (code, err) == (0, "")
    assert "baselines not measured: no room for EASE" in out
    assert _find(out, "AD-DRL")[-2:] == ["0.6123", "0.4500"] and "EASE  " not in out
    code, out, err = addrl("run", "planted", "--json")
    assert (code, json.loads(out)["baselines"]) == (0, {})
    assert "baselines not measured" in err


def test_run_writes_the_report_that_is_asked_for(addrl, runner, data, monkeypatch):
    from tfx_pipeline.commands import report

    page = data.root / "report.html"
    monkeypatch.setattr(report, "write_report", lambda config, place, progress: page)
    code, out, err = addrl("run", "planted", "--report", "--no-baselines")
    assert (code, err) == (0, "") and f"report: {page}" in out


def test_run_says_where_the_page_is_that_the_pipeline_made(addrl, runner, data, monkeypatch):
    from tfx_pipeline.commands import run as command

    genuine = command.run_pipeline
    monkeypatch.setattr(
        command,
        "run_pipeline",
        lambda *given: dataclasses.replace(genuine(*given), report="made/7"),
    )
    _, out, _ = addrl("run", "planted", "--no-baselines")
    assert "a page about it: made/7/report.html" in out
    _, out, _ = addrl("run", "planted", "--no-baselines", "--json")
    assert json.loads(out)["report"] == "made/7"


def test_run_goes_on_where_the_report_cannot_be_written(addrl, runner, data):
    code, out, err = addrl("run", "planted", "--report", "--no-baselines")
    assert (code, err) == (0, "")
    assert "report not written: " in out


def test_run_measures_no_baselines_where_none_are_wanted(addrl, runner, data, monkeypatch):
    monkeypatch.setattr(baselines, "load_baselines", lambda *_: pytest.fail("called"))
    code, out, _ = addrl("run", "planted", "--no-baselines")
    assert code == 0 and _find(out, "AD-DRL")[-2:] == ["0.6123", "0.4500"]
    assert "ItemKNN" not in out and "measuring" not in out


def test_a_failure_of_the_parser_itself_is_not_hidden(addrl, monkeypatch):
    class Broken:
        def parse_known_args(self, argv):
            raise RuntimeError("broken parser")

    monkeypatch.setattr(cli, "make_parser", lambda environment: Broken())
    with pytest.raises(RuntimeError, match="broken parser"):
        addrl("run", "planted")


def test_run_json_is_one_document(addrl, runner, data):
    code, out, _ = addrl("run", "planted", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["metrics"]["recall_at_20"] == 0.61234
    assert set(document["baselines"]) == {"most_popular", "item_knn", "ease"}


def test_baselines_are_kept_until_the_data_change(data, monkeypatch):
    calls = []
    genuine = baselines.evaluate_baselines

    def count(*arguments):
        calls.append(1)
        return genuine(*arguments)

    monkeypatch.setattr(baselines, "evaluate_baselines", count)
    config = get_preset("planted")
    first = baselines.load_baselines(config, data)
    assert baselines.load_baselines(config, data) == first
    assert len(calls) == 1
    # Everybody keeps to the own half, which neighbours find and popularity does not.
    assert first["ease"]["recall_at_20"] > first["most_popular"]["recall_at_20"] + 0.2
    data.baselines.write_text("{ broken")
    again = baselines.load_baselines(config, data)
    assert again["ease"]["ndcg_at_20"] == first["ease"]["ndcg_at_20"]
    assert len(calls) == 2
    table = {"user_id": ["u0"], "item_id": ["i01"]}
    pq.write_table(pa.table(table), data.data / "interactions" / "train" / "b.parquet")
    baselines.load_baselines(config, data)
    assert len(calls) == 3


def test_evaluate_knows_every_baseline_by_name(data):
    from addrl_keras.baselines import BASELINES, QUICK
    from tfx_pipeline.commands import evaluate, metrics

    assert ("addrl", *BASELINES) == evaluate.MODELS and evaluate.QUICK == QUICK
    assert set(metrics.BASELINE_NAMES) == set(BASELINES)


def test_another_baseline_is_added_to_what_is_kept(data):
    config = get_preset("planted")
    quick = baselines.load_baselines(config, data)
    found = baselines.load_baselines(config, data, names=("tfrs_two_tower",))
    assert set(found) == {"tfrs_two_tower"} and found["tfrs_two_tower"]["hyperparameters"]["dim"]
    assert baselines.load_baselines(config, data) == quick
    assert set(json.loads(data.baselines.read_text())["baselines"]) == {*quick, *found}


def test_a_blend_with_content_needs_a_pushed_version(data):
    with pytest.raises(CommandError, match=r"holds no version.*addrl run planted"):
        baselines.load_baselines(get_preset("planted"), data, names=("content_blend",))


def test_evaluate_shows_one_baseline_with_what_was_chosen(addrl, data):
    code, out, _ = addrl("evaluate", "planted", "--model", "ease")
    assert code == 0
    assert _find(out, "EASE")[0] == "EASE"
    assert "EASE: ridge " in out
    assert "AD-DRL" not in out and "ItemKNN" not in out


def test_evaluate_shows_the_last_run(addrl, data, tmp_path):
    write_result(_make_result(tmp_path), data.root)
    code, out, _ = addrl("evaluate", "planted", "--model", "addrl", "--json")
    assert (code, json.loads(out)["addrl"]["recall_at_20"]) == (0, 0.61234)
    code, out, _ = addrl("evaluate", "planted")
    assert _find(out, "AD-DRL")[-2] == "0.6123"
    assert _find(out, "ItemKNN")[0] == "ItemKNN"


def test_evaluate_shows_all_of_them(addrl, data, tmp_path, monkeypatch):
    from addrl_keras.baselines import BASELINES

    asked = []

    def load(config, place, slices, report, names):
        asked.extend(names)
        return {}

    monkeypatch.setattr(baselines, "load_baselines", load)
    write_result(_make_result(tmp_path), data.root)
    code, out, _ = addrl("evaluate", "planted", "--model", "all", "--json")
    assert (code, list(json.loads(out))) == (0, ["addrl"])
    assert tuple(asked) == tuple(BASELINES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("<=1971", [True, False, False, False]),
        ("1972-1993", [False, True, False, False]),
        (">=1994", [False, False, True, False]),
        ("1980", [False, True, False, False]),
        ("(missing)", [False, False, False, True]),
    ],
)
def test_ranges_match_numbers(name, expected):
    for column in ([1960, 1980, 1999, None], [[1960], [1980], [1999], []]):
        assert baselines.match_values(column, [name])[name].tolist() == expected


def test_negative_ranges_and_categories_match():
    members = baselines.match_values([-5.0, 0.5], ["-6.5..-1", "-1..1e0"])
    assert members["-6.5..-1"].tolist() == [True, False]
    assert members["-1..1e0"].tolist() == [False, True]
    members = baselines.match_values([["a", "b"], ["c"], []], ["a", "b", "(other)", "(missing)"])
    assert members["b"].tolist() == [True, False, False]
    assert members["(other)"].tolist() == [False, True, False]
    assert members["(missing)"].tolist() == [False, False, True]


def describe_newest(version):
    return f"version {version} is now the newest; a running server follows within seconds"


def test_rollback_moves_the_newest_version_aside(addrl, tmp_path):
    serving = tmp_path / "planted" / "serving"
    for version in ("3", "5", "20"):
        (serving / version).mkdir(parents=True)
        (serving / version / "saved_model.pb").write_text(version)
    (serving / "draft-9").mkdir()
    code, out, _ = addrl("rollback", "planted")
    assert code == 0
    retired = tmp_path / "planted" / "retired"
    assert (retired / "20" / "saved_model.pb").read_text() == "20"
    assert out.splitlines()[-1] == describe_newest(5)
    assert sorted(path.name for path in serving.iterdir()) == ["3", "5", "draft-9"]
    code, out, _ = addrl("rollback", "planted", "3")
    assert (code, out.splitlines()[-1]) == (0, describe_newest(3))
    code, _, err = addrl("rollback", "planted")
    assert code == 1
    assert err == (
        f"addrl rollback: {serving} needs two versions, one to return to. It holds: 3.\n"
    )


def test_rollback_does_not_wait_for_a_run(addrl, tmp_path):
    serving = tmp_path / "planted" / "serving"
    for version in ("3", "5"):
        (serving / version).mkdir(parents=True)
    with locks.hold_lock(tmp_path / "planted", "planted"):
        code, out, _ = addrl("rollback", "planted")
    assert (code, out.splitlines()[-1]) == (0, describe_newest(3))
    assert [path.name for path in serving.iterdir()] == ["3"]


def test_rollback_lets_somebody_finish_who_changes_the_versions(addrl, tmp_path):
    serving = tmp_path / "planted" / "serving"
    for version in ("3", "5"):
        (serving / version).mkdir(parents=True)

    def push():
        (serving / "7").mkdir()
        lock.close()

    lock = contextlib.ExitStack()
    lock.enter_context(locks.hold_versions(tmp_path / "planted"))
    timer = threading.Timer(0.2, push)
    timer.start()
    code, out, _ = addrl("rollback", "planted")
    timer.join()
    assert (code, out.splitlines()[-1]) == (0, describe_newest(5))


def test_rollback_to_several_versions_back(addrl, tmp_path):
    serving = tmp_path / "planted" / "serving"
    for version in (3, 5, 20):
        (serving / str(version)).mkdir(parents=True)
    for wanted, words in (("4", "no such version. Received: 4."), ("20", "is the newest already")):
        code, _, err = addrl("rollback", "planted", wanted)
        assert code == 2 and words in err and "There are: 20, 5, 3." in err
    assert addrl("rollback", "planted", "3")[0] == 0
    assert [path.name for path in serving.iterdir()] == ["3"]


def test_serve_becomes_the_server_on_the_pushed_versions(addrl, tmp_path, monkeypatch):
    (tmp_path / "planted" / "serving" / "5").mkdir(parents=True)
    seen = []
    monkeypatch.setattr("os.execv", lambda path, command: seen.append((path, command)))
    addrl("serve", "planted", "--port", "1234", "--rest-port", "0", "--host", "0.0.0.0")
    path, command = seen[0]
    assert command[0] == path
    assert command[1:] == [
        "-m",
        "serving.server",
        f"--model_base_path={tmp_path}/planted/serving",
        "--host=0.0.0.0",
        "--port=1234",
        "--rest_api_port=0",
    ]


def test_demo_examples_go_together_and_do_not_change(data):
    user, history, num_items = demo.choose_examples(data)
    assert demo.choose_examples(data) == (user, history, num_items)
    assert num_items == 40
    assert user.startswith("u")
    assert len(set(history)) == 3
    # Items of one half are taken together, items of both never.
    assert len({int(item[1:]) % 2 for item in history}) == 1


def test_demo_raises_the_attribute_that_brings_in_most():
    def answer(*names):
        return Recommendations("u", "user", [RecommendedItem(n, 1.0, {}) for n in names], 1)

    raised = {"year": answer("b", "a"), "genre": answer("a", "x"), "studio": answer("y", "a")}
    assert demo.choose_attribute(answer("a", "b").items, raised) == "genre"


def test_demo_shows_how_the_list_moved(capsys, monkeypatch):
    from tfx_pipeline import tables

    items = {
        name: RecommendedItem(name, 1.0, {"year": 1.0}, {"year": "new"}) for name in ("a", "b", "c")
    }
    answer = Recommendations("7", "user", [items["b"], items["a"], items["c"]], 1)
    table = tables.make_recommendations_table(answer, {}, before={"a": 1, "b": 2})
    tables.make_console().print(table)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows if row and row[0] == "1"] == [["1", "2", "↑"]]
    assert [row[:3] for row in rows if row and row[0] == "2"] == [["2", "1", "↓"]]
    assert [row[:3] for row in rows if row and row[0] == "3"] == [["3", "new", "c"]]
