"""The client when a version with other chunks takes over between two of its calls."""

import fnmatch

import pytest

from serving.client import Client, ServingError
from serving.contract import CONTRACT, SignatureSpec


class _ScriptedClient(Client):
    """A client whose server has the chunks in `names`; no network is touched.

    Entry n of `swaps` runs after answer n, as when a version takes over between two questions.
    """

    def __init__(self, names, swaps=()):
        super().__init__("127.0.0.1:1")
        self.names = list(names)
        self.version = 1
        self.asked = []
        self.swaps = list(swaps)

    def swap(self, *names):
        self.names, self.version = list(names), self.version + 1

    def predict(self, signature, given, output_filter=(), timeout=None):
        self.asked.append((signature, given))
        answer = self.answer(signature, given, output_filter)
        if self.swaps and (names := self.swaps.pop(0)):
            self.swap(*names)
        return answer

    def answer(self, signature, given, output_filter):
        if list(output_filter) == ["contribution_names"]:
            return {"contribution_names": self.names}, self.version
        weights = given.get("attribute_weights")
        if weights and len(weights[0]) != len(self.names):
            raise ServingError("INVALID_ARGUMENT", "attribute_weights has the wrong width")
        shares = weights[0] if weights else [1.0] * len(self.names)
        outputs = {
            "item_ids": [["i"]],
            "scores": [[sum(shares)]],
            "contributions": [[shares]],
            "average_contributions": [[0.0] * len(shares)],
            "contribution_names": list(self.names),
            "attribute_values": [[["x"]]],
            "source": ["user"],
        }
        if signature == "similar_items":
            outputs = {name: outputs[name] for name in ("item_ids", "scores", "contributions")}
        return outputs, self.version

    def contributions(self, **weights):
        return dict(self.recommend("u", attribute_weights=weights).items[0].contributions)


def test_names_are_learnt_once():
    client = _ScriptedClient(["year", "residual"])
    assert client.contributions(year=3.0) == {"year": 3.0, "residual": 1.0}
    client.contributions(year=2.0)
    assert len(client.asked) == 3


def test_names_are_not_asked_for_without_weights():
    client = _ScriptedClient(["year"])
    client.recommend("u")
    assert len(client.asked) == 1


def test_other_order_is_noticed():
    client = _ScriptedClient(["year", "genre"])
    client.contributions(year=3.0)
    client.names.reverse()
    assert client.contributions(year=3.0) == {"genre": 1.0, "year": 3.0}


def test_other_number_is_noticed():
    client = _ScriptedClient(["year", "genre"])
    client.contributions(year=3.0)
    client.names.append("studio")
    assert client.contributions(year=3.0) == {"year": 3.0, "genre": 1.0, "studio": 1.0}
    assert client.contributions(studio=4.0)["studio"] == 4.0


def test_new_attribute_is_looked_up_before_it_is_refused():
    client = _ScriptedClient(["year"])
    client.contributions(year=3.0)
    client.names.append("colour")
    assert client.contributions(colour=4.0) == {"year": 1.0, "colour": 4.0}
    with pytest.raises(ServingError, match="Received: shape"):
        client.contributions(shape=1.0)


def test_refusal_for_another_reason_is_passed_on():
    client = _ScriptedClient(["year"])
    client.contributions(year=1.0)
    real = client.predict

    def refuse(signature, given, output_filter=(), timeout=None):
        if output_filter:
            return real(signature, given, output_filter, timeout)
        raise ServingError("INVALID_ARGUMENT", "unknown item")

    client.predict = refuse
    with pytest.raises(ServingError, match="unknown item"):
        client.contributions(year=1.0)


def _similar(client, **weights):
    return dict(client.similar_items("i", attribute_weights=weights)[0].contributions)


def test_similar_items_follow_a_new_version():
    client = _ScriptedClient(["year"])
    assert _similar(client) == {"year": 1.0}
    client.swap("year", "genre")
    assert _similar(client) == {"year": 1.0, "genre": 1.0}
    # Another model under the same number, as after a restart of the server on another folder.
    client.names.append("studio")
    assert _similar(client) == {"year": 1.0, "genre": 1.0, "studio": 1.0}


def test_similar_items_notice_the_same_number_in_another_order():
    client = _ScriptedClient(["year", "genre"])
    assert _similar(client, year=3.0) == {"year": 3.0, "genre": 1.0}
    client.swap("genre", "year")
    assert _similar(client, year=3.0) == {"year": 3.0, "genre": 1.0}
    assert len(client.asked) == 5  # names, items; items, names, items
    client.swap("genre", "year")
    assert _similar(client, year=3.0) == {"year": 3.0, "genre": 1.0}
    assert len(client.asked) == 7  # a version with the same names: they are learnt, no more


def test_similar_items_without_weights_notice_another_order_too():
    # The version changes after the items were listed and before the names are asked for.
    client = _ScriptedClient(["year", "genre"], swaps=[["genre", "year"]])
    client.answer = _with_shares(client.answer, {"year": 5.0, "genre": 7.0})
    assert _similar(client) == {"year": 5.0, "genre": 7.0}


def _with_shares(answer, shares):
    """Makes the contributions tell by their number which attribute they are of."""

    def call(signature, given, output_filter):
        outputs, version = answer(signature, given, output_filter)
        if "contributions" in outputs:
            names = answer("recommend", {}, ["contribution_names"])[0]["contribution_names"]
            outputs["contributions"] = [[[shares[name] for name in names]]]
        return outputs, version

    return call


@pytest.mark.parametrize("signature", ["recommend", "similar_items"])
def test_names_that_move_twice_are_followed(signature):
    order, other = ["year", "genre"], ["genre", "year"]
    client = _ScriptedClient(order, swaps=[other, order])
    ask = client.contributions if signature == "recommend" else lambda **w: _similar(client, **w)
    assert ask(year=3.0) == {"year": 3.0, "genre": 1.0}


@pytest.mark.parametrize("signature", ["recommend", "similar_items"])
def test_names_that_never_rest_are_an_error_and_no_wrong_answer(signature):
    order, other = ["year", "genre"], ["genre", "year"]
    client = _ScriptedClient(order, swaps=[other, order] * 20)
    ask = client.contributions if signature == "recommend" else lambda **w: _similar(client, **w)
    client.contribution_names()
    with pytest.raises(ServingError, match=r"ABORTED.*changed 3 times"):
        ask(year=3.0)


def test_names_come_with_the_answers_and_old_versions_are_forgotten():
    client = _ScriptedClient(["year"])
    for number in range(10):
        client.swap("year", f"chunk{number}")
        client.recommend("u")
    assert client.contribution_names() == ("year", "chunk9")
    assert len(client.asked) == 10
    assert len(client._names._kept) == 4


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda c: c.explain(["a", "b"], ["i"]), "2 users and 1 items"),
        (lambda c: c.recommend("a", exclude_ids="i"), r"Use \['i'\]"),
        (lambda c: c.score(["a", "b"], [["i"]]), "1 lists for 2 users"),
    ],
)
def test_calls_that_cannot_be_meant_are_refused_before_they_are_sent(ask, words):
    client = _ScriptedClient(["year"])
    with pytest.raises(ServingError, match=words):
        ask(client)
    assert client.asked == []


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda c: c.recommend("u", "a"),
            "k must be a whole number in 1..2147483647. Received: 'a'.",
        ),
        (
            lambda c: c.recommend("u", 2**40),
            "k must be a whole number in 1..2147483647. Received: 1099511627776.",
        ),
        (lambda c: c.recommend("u", True), "k must be a whole number * Received: True."),
        (lambda c: c.similar_items("i", 1.5), "k must be a whole number * Received: 1.5."),
        (
            lambda c: c.recommend(None),
            "user_id must be a str or a sequence of str. Received: None.",
        ),
        (lambda c: c.recommend(42), "user_id must be a str or a sequence of str. Received: 42."),
        (lambda c: c.recommend(["a", 42]), "each value of user_id must be a str. Received: 42."),
        (
            lambda c: c.recommend("\udcff"),
            "user_id must be text that UTF-8 can encode. Received: '\\udcff'.",
        ),
        (lambda c: c.explain("42", None), "item_id must be a str * Received: None."),
        (lambda c: c.score("u", 7), "item_ids must be a list of ids * Received: 7."),
        (lambda c: c.score("u", [7]), "item_ids must be a str * Received: 7."),
        (
            lambda c: c.recommend(["u", "v"], history_ids=["a", ["b"]]),
            "history_ids must be either a list of ids or * Received: ?'a', ?'b'??.",
        ),
        (
            lambda c: c.recommend("u", attribute_weights=[1]),
            "attribute_weights must be a mapping of an attribute to a number. Received: ?1?.",
        ),
        (
            lambda c: c.recommend("u", attribute_weights={"year": "much"}),
            "attribute_weights?'year'? must be a number. Received: 'much'.",
        ),
        (
            lambda c: c.recommend("u", attribute_filters="genre=Comedy"),
            "attribute_filters must be a mapping of * Received: 'genre=Comedy'.",
        ),
        (
            lambda c: c.recommend("u", attribute_targets={"year": 1999}),
            "attribute_targets?'year'? must be a str or a sequence of str. Received: 1999.",
        ),
        (
            lambda c: c.recommend("u", attribute_filters={"genre": []}),
            "attribute_filters?'genre'? must be a value or several (leave 'genre' out where all "
            "are welcome). Received: ??.",
        ),
        (
            lambda c: c.recommend("u", attribute_weights={"year": 1e300}),
            "attribute_weights?'year'? must be a finite number that fits into float32. "
            "Received: 1e+300.",
        ),
        (
            lambda c: c.explain("u", "i", target_strength=float("nan")),
            "target_strength must be a finite number that fits into float32. Received: nan.",
        ),
        (
            lambda c: c.explain("u", "i", target_strength=10**400),
            "target_strength must be a finite number that fits into float32. Received: 1000*",
        ),
        (
            lambda c: c.recommend("u", k=10**5000),
            "k must be a whole number * Received: int of too many digits.",
        ),
        (
            lambda c: c.recommend("u", exclude_seen="no"),
            "exclude_seen must be True or False. Received: 'no'.",
        ),
        (
            lambda c: c.explain("u", "i", target_strength=True),
            "target_strength must be a number. Received: True.",
        ),
    ],
)
def test_wrong_types_are_refused_by_name_before_they_are_sent(ask, message):
    client = _ScriptedClient(["year"])
    with pytest.raises(ServingError) as caught:
        ask(client)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert fnmatch.fnmatchcase(caught.value.message, message)
    assert client.asked == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"address": "http://127.0.0.1:8501"}, "address must be HOST:PORT .* 'http://127.0.0.1"),
        ({"address": "127.0.0.1"}, "address must be HOST:PORT .* Received: '127.0.0.1'."),
        ({"address": 8500}, "address must be HOST:PORT .* Received: 8500."),
        ({"timeout": "2"}, "timeout must be a number of seconds above 0. Received: '2'."),
        ({"timeout": None}, "timeout must be a number of seconds above 0. Received: None."),
        ({"timeout": float("nan")}, "timeout must be a number of seconds above 0. Received: nan."),
        ({"retries": "3"}, "retries must be a whole number from 0. Received: '3'."),
        ({"retries": True}, "retries must be a whole number from 0. Received: True."),
        ({"retries": -1}, "retries must be a whole number from 0. Received: -1."),
    ],
)
def test_what_no_channel_can_be_made_of_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Client(**settings)


def test_numbers_of_other_libraries_and_tuples_are_taken():
    numpy = pytest.importorskip("numpy")
    client = _ScriptedClient(["year"])
    client.recommend(
        ("u",),
        numpy.int64(3),
        attribute_weights={"year": numpy.float32(2)},
        exclude_seen=numpy.True_,
    )
    client.recommend(numpy.array(["u"]), history_ids=numpy.array(["i"]), attribute_targets={})
    assert client.asked[-2][1]["k"] == 3
    assert client.asked[-1][1]["history_ids"] == [["i"]]
    assert client.asked[-1][1]["attribute_targets"] is None


def test_reasons_of_a_list_are_refused_in_words_where_the_version_has_none(monkeypatch):
    """TensorFlow Serving itself names only the inputs that it does not know."""
    refusal = ServingError("INVALID_ARGUMENT", "inputs do not match. Sent extra: {...}")

    def refuse(*_, **__):
        raise refusal

    old = {name: CONTRACT["explain"].inputs[name] for name in ("user_id", "item_id")}
    signature = SignatureSpec(old, CONTRACT["explain"].outputs)
    with Client() as client:
        monkeypatch.setattr(client, "_predict_weighted", refuse)
        monkeypatch.setattr(client, "metadata", lambda: {"explain": signature})
        with pytest.raises(ServingError, match=r"FAILED_PRECONDITION.*is older than reasons"):
            client.explain("u", "i", attribute_targets={"genre": "Comedy"})
        # Neutral ones, and a version that has them, get the server's own words.
        with pytest.raises(ServingError, match="do not match"):
            client.explain("u", "i")
        monkeypatch.setattr(client, "metadata", lambda: CONTRACT)
        with pytest.raises(ServingError, match="do not match"):
            client.explain("u", "i", target_strength=2.0)


def test_values_that_can_be_read_once_reach_both_the_request_and_the_answer(monkeypatch):
    asked = {}

    def predict(signature, given, *_):
        asked.update(given)
        raise ServingError("UNAVAILABLE", "enough")

    with Client() as client:
        monkeypatch.setattr(client, "_predict_weighted", predict)
        with pytest.raises(ServingError, match="enough"):
            client.explain("u", "i", attribute_targets={"genre": iter(["Comedy"])})
    assert asked["attribute_targets"] == [["genre=Comedy"]]
