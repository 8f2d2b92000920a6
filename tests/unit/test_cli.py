"""The command line: every mistake in one line, fast, and without a server or a model."""

import json
import os
import subprocess
import sys

import pytest

from tfx_pipeline import cli
from tfx_pipeline.commands import asking


@pytest.fixture
def addrl(capsys, monkeypatch, tmp_path):
    """Runs a command in a folder of its own; returns exit code, output, error output."""
    monkeypatch.chdir(tmp_path)  # Projects of the working directory can be named, too.
    monkeypatch.setenv("ADDRL_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("ADDRL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*argv):
        code = cli.main([str(part) for part in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def no_server(monkeypatch):
    """A client whose every question fails as if nothing listened."""
    from serving.errors import ServingError

    class Nobody:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def __getattr__(self, name):
            def fail(*_, **__):
                raise ServingError("UNAVAILABLE", "failed to connect to all addresses")

            return fail

    monkeypatch.setattr(asking, "make_client", lambda address, timeout: Nobody())


MISTAKES = [
    (
        ["rnu", "planted"],
        "addrl: argument COMMAND: no such choice. Received: 'rnu'. Did you mean 'run'? Choose one "
        "of init, run, serve, recommend, explain, profile, evaluate, report, index, status, "
        "rollback, presets, encoders. See `addrl --help`.",
    ),
    (
        [],
        "addrl: the following arguments are required: COMMAND. See `addrl --help`.",
    ),
    (
        ["run", "planetd"],
        "addrl run: argument PRESET: no such preset. Received: 'planetd'. Did you mean 'planted'? "
        "Choose one of gift-cards, hm, hm-paper, movielens, "
        "movielens-paper, planted, toys, toys-paper. See `addrl run --help`.",
    ),
    (
        ["run", "planted", "--demoo"],
        "addrl run: unknown argument. Received: '--demoo'. Did you mean '--demo'? "
        "See `addrl run --help`.",
    ),
    (
        ["run", "planted", "--demo", "--json"],
        "addrl run: argument --json: not allowed with argument --demo. See `addrl run --help`.",
    ),
    (
        ["run", "planted", "--data", "no/such/folder"],
        "addrl run: --data is no folder. Received: 'no/such/folder'. Leave it out to have the "
        "files fetched, or to see which files the preset needs.",
    ),
    (
        ["recommend", "planted"],
        "addrl recommend: name a USER, or give --users-file FILE or --history ID,ID.",
    ),
    (
        ["recommend", "planted", ""],
        "addrl recommend: argument USER: must not be empty. Give an id. Received: ''. "
        "See `addrl recommend --help`.",
    ),
    (
        ["explain", "planted", "7", " "],
        "addrl explain: argument ITEM: must not be empty. Give an id. Received: ' '. "
        "See `addrl explain --help`.",
    ),
    (
        ["recommend", "planted", "1", "--k", "0"],
        "addrl recommend: argument --k: must be a whole number above 0. Received: '0'. "
        "See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "1", "--k", "ten"],
        "addrl recommend: argument --k: must be a whole number above 0. Received: 'ten'. "
        "See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "1", "--weight", "year"],
        "addrl recommend: argument --weight: must be NAME=NUMBER with a finite number, "
        "such as year=2. Received: 'year'. See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "1", "--weight", "year=nan"],
        "addrl recommend: argument --weight: must be NAME=NUMBER with a finite number, "
        "such as year=2. Received: 'year=nan'. See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "1", "--want", "Comedy"],
        "addrl recommend: argument --want: must be NAME=VALUE, such as genre=Comedy. "
        "Received: 'Comedy'. See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "1", "--filter", "=x"],
        "addrl recommend: argument --filter: must be NAME=VALUE, such as genre=Comedy. "
        "Received: '=x'. See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "1", "--history", "a,,b"],
        "addrl recommend: argument --history: must be ID or ID,ID,... Received: 'a,,b'. "
        "See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "1", "--address", "localhost"],
        "addrl recommend: argument --address: must be HOST:PORT, such as localhost:8500. "
        "Received: 'localhost'. See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "1", "--timeout", "0"],
        "addrl recommend: argument --timeout: must be a number above 0. Received: '0'. "
        "See `addrl recommend --help`.",
    ),
    (
        ["recommend", "planted", "--users-file", "no-such-file"],
        "addrl recommend: --users-file cannot be read ([Errno 2] No such file or directory: "
        "'no-such-file'). Received: 'no-such-file'.",
    ),
    (
        ["serve", "planted", "--port", "70000"],
        "addrl serve: argument --port: must be a port in 0..65535. Received: '70000'. "
        "See `addrl serve --help`.",
    ),
    (
        ["evaluate", "planted", "--model", "itemknn"],
        "addrl evaluate: argument --model: no such choice. Received: 'itemknn'. Did you mean "
        "'item_knn'? Choose one of addrl, most_popular, item_knn, ease, content_blend, "
        "tfrs_two_tower, keras_rs_two_tower, macrid_vae, all. "
        "See `addrl evaluate --help`.",
    ),
    (
        ["rollback", "planted", "newest"],
        "addrl rollback: argument VERSION: must be a whole number above 0. Received: 'newest'. "
        "See `addrl rollback --help`.",
    ),
]


@pytest.mark.parametrize(("argv", "message"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_a_mistake_is_one_line_and_exit_code_2(addrl, argv, message):
    code, out, err = addrl(*argv)
    assert (code, out, err) == (2, "", message + "\n")


def test_what_is_not_there_yet_names_the_command_that_makes_it(addrl, tmp_path):
    runs = tmp_path / "runs"
    for argv, message in [
        (
            ["serve", "planted"],
            f"addrl serve: {runs}/planted/serving holds no pushed version. Push one with "
            "`addrl run planted`.",
        ),
        (
            ["evaluate", "planted"],
            f"addrl evaluate: {runs}/planted holds no result. Train and evaluate with "
            "`addrl run planted`.",
        ),
        (
            ["evaluate", "planted", "--model", "ease"],
            "measuring the baselines ...\n"
            f"addrl evaluate: {runs}/planted/data/items holds no table. Write it with "
            "`addrl run planted`.",
        ),
    ]:
        assert addrl(*argv) == (1, "", message + "\n")


def test_no_server_is_one_line_with_the_remedy(addrl, no_server):
    code, out, err = addrl("recommend", "planted", "7", "--address", "localhost:9")
    assert (code, out) == (1, "")
    assert err == (
        "addrl recommend: no server answers at localhost:9. Start one with `addrl serve planted`, "
        "or name another with --address HOST:PORT.\n"
    )


def test_an_unexpected_error_has_no_traceback_unless_asked_for(addrl, monkeypatch):
    from tfx_pipeline.commands import presets

    def fail(options):
        raise KeyError("boom")

    monkeypatch.setattr(presets, "run", fail)
    code, out, err = addrl("presets")
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    assert err.splitlines()[0] == "addrl presets: unexpected KeyError: 'boom'"
    with pytest.raises(KeyError):
        cli.main(["--debug", "presets"])
    with pytest.raises(KeyError):
        cli.main(["presets", "--debug"])


def test_an_interrupt_ends_quietly(addrl, monkeypatch):
    from tfx_pipeline.commands import presets

    def interrupt(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(presets, "run", interrupt)
    code, out, err = addrl("presets")
    assert (code, out, err.strip()) == (130, "", "interrupted")


def test_presets_lists_the_attributes(addrl):
    code, out, _ = addrl("presets")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("movielens"))
    for word in ("year (numeric)", "genre (categorical)", "people"):
        assert word in line
    code, out, _ = addrl("presets", "--json")
    assert json.loads(out)["planted"]["attributes"] == ["year", "popularity", "studio", "genre"]


@pytest.mark.parametrize(
    "argv",
    [
        ["planted", "7", "8", "--k", "3"],
        ["planted", "--k", "3", "7", "8"],
        ["--k", "3", "planted", "7", "8"],
        ["planted", "7", "--k", "3", "8"],
    ],
)
def test_options_and_users_come_in_any_order(argv):
    options = cli.make_parser({}).parse_args(["recommend", *argv])
    assert (options.preset, options.users, options.k) == ("planted", ["7", "8"], 3)


def test_the_environment_names_the_folders(monkeypatch):
    options = cli.make_parser({"ADDRL_RUNS": "/r", "ADDRL_CACHE": "/c"}).parse_args(
        ["run", "planted"]
    )
    assert (str(options.runs), str(options.cache)) == ("/r", "/c")
    options = cli.make_parser({"ADDRL_RUNS": "/r"}).parse_args(["run", "planted", "--runs", "/x"])
    assert str(options.runs) == "/x"
    assert cli.make_parser({}).parse_args(["run", "planted"]).runs.name == "runs"
    options = cli.make_parser({"ADDRL_RUNS": "/r", "ADDRL_CACHE": "/c"}).parse_args(
        ["index", "add", "planted", "new.csv"]
    )
    assert (str(options.runs), str(options.cache)) == ("/r", "/c")


def _run(*argv):
    return subprocess.run(
        [sys.executable, "-m", "tfx_pipeline.cli", *argv],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["--help"], 0), (["run", "planetd"], 2), (["recommend", "planted", "1", "--weight", "x"], 2)],
)
def test_help_and_mistakes_answer_in_under_a_second(assert_below, argv, code):
    runs = []
    assert_below(1.0, lambda: runs.append(_run(*argv)))
    assert {done.returncode for done in runs} == {code}


def test_a_reader_that_has_enough_is_no_error():
    command = f"{sys.executable} -m tfx_pipeline.cli --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout.startswith("usage: addrl")
    assert done.stderr == ""
