"""The client when a version with other chunks takes over between two of its calls."""

import pytest

from serving.client import Client, ServingError


class _ScriptedClient(Client):
    """A client whose server has the chunks in `names`; no network is touched."""

    def __init__(self, names):
        super().__init__("127.0.0.1:1")
        self.names = list(names)
        self.asked = []

    def predict(self, signature, given, output_filter=(), timeout=None):
        self.asked.append((signature, given))
        if list(output_filter) == ["contribution_names"]:
            return {"contribution_names": self.names}, 1
        weights = given.get("attribute_weights")
        if weights and len(weights[0]) != len(self.names):
            raise ServingError("INVALID_ARGUMENT", "attribute_weights has the wrong width")
        shares = weights[0] if weights else [1.0] * len(self.names)
        outputs = {
            "item_ids": [["i"]],
            "scores": [[sum(shares)]],
            "contributions": [[shares]],
            "contribution_names": self.names,
            "attribute_values": [[["x"]]],
            "source": ["user"],
        }
        if signature == "similar_items":
            outputs = {name: outputs[name] for name in ("item_ids", "scores", "contributions")}
        return outputs, 1

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


def test_similar_items_follow_a_new_version():
    client = _ScriptedClient(["year"])
    assert dict(client.similar_items("i")[0].contributions) == {"year": 1.0}
    client.names.append("genre")
    assert dict(client.similar_items("i")[0].contributions) == {"year": 1.0, "genre": 1.0}


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
