"""The commands that ask a server, with a client that answers from memory."""

import fnmatch
import json
import math
import os
import stat
import threading
import types

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.client import Client
from serving.errors import ServingError
from serving.results import (
    Evidence,
    Explanation,
    ItemValue,
    Profile,
    Recommendations,
    RecommendedItem,
    ValuePreference,
    VersionStatus,
)
from tfx_pipeline import cli, results
from tfx_pipeline.commands import asking, recommend
from tfx_pipeline.drift import ColumnDrift, Drift
from tfx_pipeline.index import known

NAMES = ("year", "genre", "residual")
ITEMS = ("i0", "i1", "i2", "i3", "i4")


class FakeClient:
    """Knows five items, i0 to i4, with the score 5 - number, weighted by attribute."""

    def __init__(self):
        self.asked = []
        self.explains_wishes = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def contribution_names(self):
        return NAMES

    def recommend(self, users, k, **settings):
        self.asked.append((list(users), k, settings))
        if k > 5:
            raise ServingError("INVALID_ARGUMENT", f"k must be in 1..5. Received: {k}")
        weights = settings["attribute_weights"] or {}
        items = []
        for number in range(5):
            parts = dict(zip(NAMES, (1.0 * number, 2.0 - number / 2, -0.25), strict=True))
            parts = {name: value * weights.get(name, 1.0) for name, value in parts.items()}
            values = {"year": "1990-1999", "genre": "" if number == 1 else "Comedy|Drama"}
            items.append(RecommendedItem(f"i{number}", sum(parts.values()), parts, values))
        items.sort(key=lambda item: -item.score)
        return [Recommendations(user, "user", items[:k], 17) for user in users]

    def explain(self, user, item, **settings):
        if isinstance(user, list):
            self.asked.append(("explain", user, settings))
        if not self.explains_wishes and any(settings.values()):
            raise ServingError("FAILED_PRECONDITION", "the served version is older")
        if isinstance(user, list):
            return [self.explain(*pair, **settings) for pair in zip(user, item, strict=True)]
        if item not in ITEMS:
            raise ServingError("INVALID_ARGUMENT", f"unknown item. Received: {item!r}")
        parts = {"year": 0.5, "genre": 1.5, "residual": -0.25}
        lifts = {"year": 0.75, "genre": 0.25, "residual": 0.0}
        values = {"genre": ItemValue("Comedy|Drama", "Drama", 0.5, 0.25)}
        if item == "i0":
            values["year"] = ItemValue("1990-1999", "1990-1999", 0.75, 0.5)
        weights = {name: {"id": 0.25, "title": 0.75} for name in parts}
        past = range(1, 8) if user != "stranger" else ()
        evidence = [Evidence(f"i{number}", 1.2 - number / 10, parts) for number in past]
        targets, given = settings.get("attribute_targets") or {}, {}
        if "genre" in targets:
            lifts, given = {**lifts, "genre": 1.0}, {"year": -0.5, "genre": 1.25}
        return Explanation(
            user, item, 1.75, parts, lifts, values, weights, evidence, 17, targets, given
        )

    def profile(self, user, history_ids=None):
        self.asked.append(("profile", user, history_ids))
        shares = dict(zip(NAMES, (0.5, 0.3, 0.2), strict=True))
        liked = [ValuePreference(f"v{n}", 0.5 - n / 4, 0.6, 0.4, 0.5, 0.25) for n in range(5)]
        source = "prior" if user == "stranger" else "user"
        hold = {"year": {"year": 1.0, "genre": 2.0, "residual": 0.5}}
        hold["genre"] = {"year": 0.5, "genre": 1.0, "residual": 2.0}
        preferences = {"year": liked, "genre": liked[:2]}
        return Profile(user, source, shares, shares, preferences, hold, 17)

    def score(self, user, ids):
        return [1.0 if item in ITEMS else math.nan for item in ids]

    def status(self):
        return [VersionStatus(17, "AVAILABLE", "OK", "")]


@pytest.fixture
def client(monkeypatch):
    fake = FakeClient()
    monkeypatch.setattr(asking, "make_client", lambda address, timeout: fake)
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


@pytest.fixture
def titles(tmp_path):
    folder = tmp_path / "planted" / "data" / "items"
    folder.mkdir(parents=True)
    table = {"item_id": ["i0", "i1", "i4"], "title": ["Heat", None, "Alien"], "more": [1, 2, 3]}
    pq.write_table(pa.table(table), folder / "data-00000-of-00001.parquet")


TABLE = """\
user 7 (known user), model version 17
rank  item        score    year   genre  residual  values
──────────────────────────────────────────────────────────────────────────────
   1  Alien (i4)  3.750  +4.000       0    -0.250  1990-1999 · Comedy|Drama
   2  i3          3.250  +3.000  +0.500    -0.250  1990-1999 · Comedy|Drama
   3  i2          2.750  +2.000  +1.000    -0.250  1990-1999 · Comedy|Drama
   4  i1          2.250  +1.000  +1.500    -0.250  1990-1999 · –
   5  Heat (i0)   1.750       0  +2.000    -0.250  1990-1999 · Comedy|Drama
"""


def _squeeze(text):
    """Returns lines without trailing spaces and rules, whose lengths say nothing."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and "───" not in line]


def test_recommend_prints_a_table(addrl, client, titles):
    code, out, err = addrl("recommend", "planted", "7", "--k", "5")
    assert (code, err) == (0, "")
    assert _squeeze(out) == _squeeze(TABLE)
    assert "\x1b" not in out


def test_recommend_without_titles_shows_ids(addrl, client):
    _, out, _ = addrl("recommend", "planted", "7", "--k", "1")
    assert _squeeze(out)[2].split()[:3] == ["1", "i4", "3.750"]


def test_recommend_passes_what_was_asked_for(addrl, client):
    addrl(
        *(
            "recommend",
            "planted",
            "7",
            "8",
            "--k",
            "2",
            "--weight",
            "year=2",
            "--weight",
            "genre=0",
        ),
        *("--want", "genre=Comedy", "--filter", "genre=Comedy", "--filter", "genre=Drama"),
        *("--history", "i0,i1", "--exclude", "i2", "--include-seen"),
    )
    users, k, settings = client.asked[-1]
    assert (users, k) == (["7", "8"], 2)
    assert settings == {
        "attribute_weights": {"year": 2.0, "genre": 0.0},
        "target_strength": None,
        "hold_weights": {"year": 0.5, "residual": 2.0},
        "attribute_targets": {"genre": ["Comedy"]},
        "attribute_filters": {"genre": ["Comedy", "Drama"]},
        "history_ids": ["i0", "i1"],
        "exclude_ids": ["i2"],
        "exclude_seen": False,
    }


def test_recommend_excludes_what_is_seen_unless_told_otherwise(addrl, client):
    addrl("recommend", "planted", "7")
    assert client.asked[0][2]["exclude_seen"] is True


def test_a_history_needs_no_user(addrl, client):
    code, out, _ = addrl("recommend", "planted", "--history", "i0,i1", "--k", "1")
    assert code == 0
    assert client.asked[0][0] == [""]
    assert out.startswith("no user")


def test_recommend_json_is_one_document(addrl, client, titles):
    code, out, _ = addrl("recommend", "planted", "7", "8", "--k", "2", "--json")
    document = json.loads(out)
    assert code == 0
    assert [user["user_id"] for user in document["users"]] == ["7", "8"]
    first = document["users"][0]["items"][0]
    assert (first["item_id"], first["title"], first["rank"]) == ("i4", "Alien", 1)
    assert first["score"] == pytest.approx(sum(first["contributions"].values()))
    assert document["users"][0]["model_version"] == 17


def test_recommend_csv_asks_in_chunks(addrl, client, tmp_path, monkeypatch):
    monkeypatch.setattr(recommend, "CHUNK", 2)
    users = tmp_path / "users.txt"
    users.write_text("u1\n\nu2\nu3\n")
    target = tmp_path / "out" / "recs.csv"
    code, out, _ = addrl(
        *("recommend", "planted", "u0", "--users-file", users, "--k", "2", "--csv", target)
    )
    assert code == 0
    assert [users for users, _, _ in client.asked] == [["u0", "u1"], ["u2", "u3"]]
    lines = target.read_text().splitlines()
    assert lines[:3] == ["user,item,rank,score", "u0,i4,1,3.75", "u0,i3,2,3.25"]
    assert len(lines) == 1 + 4 * 2
    assert out == f"8 rows of 4 users in {target}\n"
    assert [path.name for path in target.parent.iterdir()] == ["recs.csv"]


def test_a_failed_csv_leaves_the_old_one(addrl, client, tmp_path):
    target = tmp_path / "recs.csv"
    target.write_text("old")
    code, _, err = addrl("recommend", "planted", "7", "--k", "6", "--csv", target)
    assert (code, err) == (2, "addrl recommend: k must be in 1..5. Received: 6.\n")
    assert target.read_text() == "old"


def test_csv_writes_through_what_is_no_regular_file(addrl, client, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    code, _, _ = addrl("recommend", "planted", "7", "--k", "1", "--csv", pipe)
    reader.join(10)
    assert (code, received) == (0, ["user,item,rank,score\n7,i4,1,3.75\n"])
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    addrl("recommend", "planted", "7", "--k", "1", "--csv", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == received[0]
    code, _, err = addrl("recommend", "planted", "7", "--k", "1", "--csv", tmp_path)
    assert code == 1 and "Is a directory" in err


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        (
            "--weight",
            "yaer=2",
            "--weight: the model has no such attribute. Received: 'yaer'. Did you mean 'year'? "
            "It has: year, genre, residual.",
        ),
        (
            "--want",
            "residual=x",
            "--want: the model has no such attribute. Received: 'residual'. It has: year, genre.",
        ),
        (
            "--filter",
            "gnre=Comedy",
            "--filter: the model has no such attribute. Received: 'gnre'. Did you mean 'genre'? "
            "It has: year, genre.",
        ),
    ],
)
def test_an_unknown_attribute_is_named_with_those_there_are(addrl, client, option, text, message):
    code, out, err = addrl("recommend", "planted", "7", option, text)
    assert (code, out, err) == (2, "", f"addrl recommend: {message}\n")
    assert client.asked == []


def test_an_empty_users_file_is_a_mistake(addrl, client, tmp_path):
    users = tmp_path / "users.txt"
    users.write_text("\n")
    code, _, err = addrl("recommend", "planted", "--users-file", users)
    message = f"--users-file holds no user. Received: '{users}'."
    assert (code, err) == (2, f"addrl recommend: {message}\n")


def test_explain_shows_contributions_and_evidence(addrl, client, titles):
    code, out, _ = addrl("explain", "planted", "7", "i0")
    lines = _squeeze(out)
    assert code == 0
    assert lines[0] == "Heat (i0) for user 7: score 1.750"
    # The strongest attribute first: what it is, adds, and adds beyond its average; how much of the
    # history and of the catalogue has it; and the weight of each modality.
    assert lines[2].split() == [
        "genre", "Comedy|Drama", "+1.500", "+0.250", "50%", "25%", "0.25", "0.75"
    ]  # fmt: skip
    assert "You often choose year 1990-1999, and this is year 1990-1999." in lines
    assert lines[-6] == "because of item i1: +1.100, most of it by genre"
    assert lines[-1] == "and of 2 more past items: +1.100"
    code, out, _ = addrl("explain", "planted", "7", "i0", "--json")
    document = json.loads(out)
    assert [each["item_id"] for each in document["evidence"]] == [f"i{n}" for n in range(1, 8)]
    assert document["sentence"] == "You often choose year 1990-1999, and this is year 1990-1999."


def test_explain_says_that_of_a_stranger_what_is_popular_decides(addrl, client, titles):
    words = "Nothing is known of this user's past: what is popular decides"
    code, out, _ = addrl("explain", "planted", "stranger", "i0")
    assert (code, _squeeze(out)[-1]) == (0, f"{words}.")
    code, out, _ = addrl("explain", "planted", "stranger", "i0", "--want", "genre=Drama")
    assert (code, _squeeze(out)[-1]) == (0, f"{words}, beside what was asked for.")


def test_why_gives_the_reason_of_every_item(addrl, client, titles):
    code, out, _ = addrl("recommend", "planted", "7", "--k", "5", "--why")
    lines = [line for line in _squeeze(out) if "most by i1" in line]
    assert code == 0 and len(lines) == 5
    past = "Over all parts most by i1: +1.10 of 1.75 (genre +1.50, year +0.50)"
    # Where the strongest attribute is not known, the past item that argues most by it.
    assert lines[0].strip() == f"1  You chose i1, and this goes with it. {past}"
    assert (
        lines[4].strip()
        == f"5  You often choose year 1990-1999, and this is year 1990-1999. {past}"
    )
    code, out, _ = addrl("recommend", "planted", "7", "--k", "5", "--why", "--json")
    last = json.loads(out)["users"][0]["items"][4]
    assert last["why"] == "You often choose year 1990-1999, and this is year 1990-1999."
    assert last["evidence"][0]["contribution"] == pytest.approx(1.1)


def test_reasons_are_asked_for_like_the_list(addrl, client, titles):
    steered = ["--want", "genre=Drama", "--weight", "year=2", "--strength", "2"]
    code, _, err = addrl("recommend", "planted", "7", "--k", "5", "--why", *steered)
    assert (code, err) == (0, "")
    (_, _, listed), (_, _, explained) = client.asked[-2:]
    for name in ("attribute_weights", "attribute_targets", "target_strength", "hold_weights"):
        assert explained[name] is not None and explained[name] == listed[name]
    code, out, err = addrl("explain", "planted", "7", "i0", *steered)
    assert (code, err) == (0, "")
    assert "because genre Drama was asked for: +1.250" in _squeeze(out)
    assert "because what is not wanted is held: -0.500" in _squeeze(out)
    assert "You asked for Drama, and this is Drama." in _squeeze(out)


def test_a_model_without_steered_reasons_says_so(addrl, client, titles):
    client.explains_wishes = False
    listed = ["recommend", "planted", "7", "--k", "5", "--why"]
    for words in (listed, ["explain", "planted", "7", "i0"]):
        code, _, err = addrl(*words, "--weight", "year=2")
        assert code == 0 and err.count("\n") == 1
        assert "older than reasons with weights and wishes" in err
    assert client.asked[-1][2] == {"history_ids": None}


@pytest.mark.parametrize(
    ("words", "weights"),
    [
        ([], {"genre": 2.0, "residual": 0.5}),
        (["--no-hold"], None),
        (["--hold", "genre=4"], {"genre": 4.0}),
        (["--weight", "genre=3"], {"genre": 2.0, "residual": 0.5}),
        # Of two wishes the geometric mean, and nothing holds what is wanted.
        (["--want", "genre=Drama"], None),
    ],
)
def test_a_wish_holds_the_rest(addrl, client, words, weights):
    code, _, err = addrl("recommend", "planted", "7", "--k", "5", "--want", "year=1", *words)
    assert (code, err) == (0, "")
    found = client.asked[-1][2]["hold_weights"]
    assert found == (pytest.approx(weights) if weights else None)


def test_strength_is_handed_on(addrl, client):
    words = ("recommend", "planted", "7", "--k", "5", "--want", "year=1", "--strength", "1.5")
    assert addrl(*words)[0] == 0
    assert client.asked[-1][2]["target_strength"] == 1.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strength", "2"], "--strength goes with --want NAME=VALUE. Received: no --want."),
        (["--hold", "year=2"], "--hold goes with --want NAME=VALUE. Received: no --want."),
        (
            ["--weight", "year=1", "--weight", "genre=2", "--weight", "year=3"],
            "--weight: year is weighed more than once. Received: 1, 3.",
        ),
        (["--no-hold"], "--no-hold goes with --want NAME=VALUE. Received: no --want."),
        (
            ["--want", "year=1", "--hold", "yaer=2"],
            "--hold: the model has no such attribute. Received: 'yaer'. Did you mean 'year'? It "
            "has: year, genre, residual.",
        ),
    ],
)
def test_steering_that_makes_no_sense_is_a_mistake(addrl, client, words, message):
    code, out, err = addrl("recommend", "planted", "7", *words)
    assert (code, out, err) == (2, "", f"addrl recommend: {message}\n")


def test_profile_shows_what_drives_a_user(addrl, client):
    code, out, _ = addrl("profile", "planted", "7", "--values", "1")
    lines = _squeeze(out)
    assert code == 0
    assert lines[0] == "what decides the scores of user 7, model version 17"
    assert lines[2].split() == ["year", "50%", "50%"]
    rows = [line.split() for line in lines]
    assert ["v0", "60%", "40%", "50%", "+0.500"] in rows
    assert ["v4", "60%", "40%", "50%", "-0.500"] in rows
    assert sum(row[:1] == ["v2"] for row in rows) == 0
    code, out, _ = addrl("profile", "planted", "7", "--json")
    assert len(json.loads(out)["preferences"]["year"]) == 5


def test_profile_of_everybody_and_of_nobody(addrl, client):
    code, out, _ = addrl("profile", "planted", "--all")
    assert code == 0 and "share, all users" in out
    assert "year, most common in the catalogue: v0 25%" in out and " more (--values" not in out
    _, out, _ = addrl("profile", "planted", "--all", "--values", "1")
    assert "and 3 more (--values N shows more)" in " ".join(_squeeze(out))
    code, out, _ = addrl("profile", "planted", "--all", "--json")
    assert json.loads(out)["importance"] == {"year": 0.5, "genre": 0.3, "residual": 0.2}
    code, out, _ = addrl("profile", "planted", "stranger")
    assert out == "Nothing is known of the user 'stranger', whose list is what is popular.\n"
    addrl("profile", "planted", "--history", "i0,i1")
    assert client.asked[-1] == ("profile", "", ["i0", "i1"])


@pytest.mark.parametrize(("words", "received"), [([], "neither"), (["7", "--all"], "both")])
def test_profile_is_of_one_or_of_all(addrl, client, words, received):
    code, out, err = addrl("profile", "planted", *words)
    message = "name a USER (or give --history ID,ID), or ask for --all, one of them. "
    message += f"Received: {received}."
    assert (code, out, err) == (2, "", f"addrl profile: {message}\n")


def test_explain_names_an_unknown_item(addrl, client):
    code, _, err = addrl("explain", "planted", "7", "i9")
    assert (code, err) == (2, "addrl explain: unknown item. Received: 'i9'.\n")


@pytest.mark.parametrize("words", [("recommend", "7", "--k", "1"), ("explain", "7", "i0")])
@pytest.mark.parametrize(
    ("folder", "version", "is_foreign"),
    [("serving", 3, True), ("serving", 17, False), ("retired", 17, False)],
)
def test_an_answer_of_another_presets_model_is_noticed(
    addrl, client, tmp_path, words, folder, version, is_foreign
):
    (tmp_path / "planted" / "serving" / "3").mkdir(parents=True)
    (tmp_path / "planted" / folder / str(version)).mkdir(parents=True, exist_ok=True)
    code, out, err = addrl(words[0], "planted", *words[1:], "--json")
    warning = (
        f"addrl {words[0]}: warning: the server at localhost:8500 answers with version 17, which "
        "is not one of planted's (3); is it another preset's?\n"
    )
    assert (code, err) == (0, warning if is_foreign else "")
    assert json.loads(out)["preset"] == "planted"


@pytest.mark.parametrize("words", [("recommend", "7", "--k", "1"), ("explain", "7", "i0")])
def test_unknown_items_of_a_history_are_named(addrl, client, words):
    code, _, err = addrl(words[0], "planted", *words[1:], "--history", "x,i1,y,x")
    assert (code, err) == (
        0,
        f"addrl {words[0]}: warning: --history: not in the catalogue, so ignored. "
        "Received: 'x', 'y'.\n",
    )
    code, out, err = addrl(words[0], "planted", *words[1:], "--history", "x,y")
    assert (code, out, err) == (
        2,
        "",
        f"addrl {words[0]}: --history: no such item in the catalogue. Received: 'x', 'y'. "
        "Name at least one item that the model knows.\n",
    )


def test_unknown_items_to_exclude_are_named_but_not_all_of_them(addrl, client):
    unknown = [f"x{number}" for number in range(12)]
    code, _, err = addrl("recommend", "planted", "7", "--k", "1", "--exclude", ",".join(unknown))
    named = ", ".join(map(repr, unknown[:10]))
    assert (code, err) == (
        0,
        "addrl recommend: warning: --exclude: not in the catalogue, so ignored. "
        f"Received: {named} and 2 more.\n",
    )


class _UnconnectedClient(Client):
    """The real client, which fails the test where it sends anything."""

    def predict(self, *_, **__):
        raise AssertionError("a question was sent")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("recommend", "planted", "\udcff1"), "user_id * Received: *\\udcff1*"),
        (("explain", "planted", "1", "\udcff1"), "item_id * Received: *\\udcff1*"),
        (("recommend", "planted", "1", "--history", "\udcff1"), "* Received: *\\udcff1*"),
        (
            ("recommend", "planted", "1", "--k", "99999999999"),
            "k must be a whole number in 1..2147483647. Received: 99999999999.",
        ),
    ],
)
def test_what_no_server_can_take_is_a_mistake_in_one_line(addrl, monkeypatch, words, message):
    monkeypatch.setattr(asking, "make_client", lambda *_, **__: _UnconnectedClient("127.0.0.1:1"))
    code, out, err = addrl(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert fnmatch.fnmatchcase(err, f"addrl {words[0]}: {message}\n")


def test_a_mistyped_value_is_named_with_those_that_there_are(addrl, client, tmp_path, monkeypatch):
    (tmp_path / "planted" / "serving" / "17").mkdir(parents=True)
    values = {"genre": ("Comedy", "Drama"), "year": ("<=1971", "1972-1993", ">=1998")}
    monkeypatch.setattr(known, "find_values", lambda export: values)

    def refuse(users, k, **settings):
        raise ServingError("INVALID_ARGUMENT", "attribute_targets has an unknown value")

    client.recommend = refuse
    code, _, err = addrl("recommend", "planted", "u1", "--want", "genre=Comdy")
    assert (code, err) == (
        2,
        "addrl recommend: --want: genre has no such value. Received: 'Comdy'. Did you mean "
        "'Comedy'? It has: Comedy, Drama.\n",
    )
    code, _, err = addrl("recommend", "planted", "u1", "--want", "year=1980")
    assert (code, err) == (
        2,
        "addrl recommend: --want: year has no such value. Received: '1980'. Did you mean "
        "'1972-1993'? It has: <=1971, 1972-1993, >=1998.\n",
    )
    code, _, err = addrl("recommend", "planted", "u1", "--filter", "genre=Drama")
    assert (code, "attribute_targets has an unknown value" in err) == (2, True)


def test_the_preset_that_pushed_what_answers_is_named(addrl, client, tmp_path):
    (tmp_path / "films" / "serving" / "17").mkdir(parents=True)
    _, _, err = addrl("recommend", "planted", "u1", "--k", "5")
    assert err == (
        "addrl recommend: warning: the server at localhost:8500 answers with version 17, which is "
        "not one of planted's; films has pushed it\n"
    )
    (tmp_path / "other" / "serving" / "17").mkdir(parents=True)
    assert addrl("recommend", "planted", "u1", "--k", "5")[2] == ""


def test_status_shows_what_the_last_finished_run_found(addrl, client, tmp_path, monkeypatch):
    metrics = {"recall_at_20": 0.3, "users": 1233.9999}
    drift = Drift("7", (ColumnDrift("items", "studio", 0.5, 0.1, 1.0, 1.0),))
    found = types.SimpleNamespace(metrics=metrics, passed=True, pushed=True, drift=drift)
    monkeypatch.setattr(results, "load_last_result", lambda runs, preset: found)
    out = addrl("status", "planted")[1]
    assert "last finished run: accepted, recall_at_20 0.3000, users 1,234\n" in out
    assert "drifted since version 7: items.studio: Jensen-Shannon divergence 0.500" in out


def test_status_names_versions_and_which_one_answers(addrl, client, tmp_path):
    for version in ("3", "17"):
        (tmp_path / "planted" / "serving" / version).mkdir(parents=True)
    code, out, _ = addrl("status", "planted", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["versions"] == [17, 3]
    assert document["server"] == {"17": "AVAILABLE"}
    code, out, _ = addrl("status", "planted")
    rows = [line.split() for line in _squeeze(out)]
    assert any(row[0] == "17" and row[-1] == "AVAILABLE" for row in rows)
    assert any(row[0] == "3" and row[-1] == "–" for row in rows)


def test_status_says_why_a_version_is_not_served(addrl, client, tmp_path):
    (tmp_path / "planted" / "serving" / "18").mkdir(parents=True)
    bad = VersionStatus(18, "END", "DATA_LOSS", "cannot read\nsaved_model.pb")
    client.status = lambda: [bad, VersionStatus(17, "AVAILABLE", "OK", "")]
    code, out, _ = addrl("status", "planted")
    assert code == 0
    assert "version 18: cannot read saved_model.pb\n" in out and "version 17:" not in out
    document = json.loads(addrl("status", "planted", "--json")[1])
    assert document["server"] == {"18": "END", "17": "AVAILABLE"}
    assert document["errors"] == {"18": "cannot read\nsaved_model.pb"}
