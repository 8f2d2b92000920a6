"""The answers of a server over gRPC, against the closed form of the tiny model.

They run against the local server and, where ADDRL_SERVING_ADDRESS names one, against that server:
for example TensorFlow Serving with the folder that `python tests/contract/tiny_model.py` writes.
"""

from __future__ import annotations

import math
import os

import pytest
import tiny_model
from tiny_server import start_server

from serving.client import Client, ServingError
from serving.contract import compare_signatures

ADDRESSES = ["local", *filter(None, [os.environ.get("ADDRL_SERVING_ADDRESS")])]
U0, U1 = tiny_model.USER_CHUNKS[0], tiny_model.USER_CHUNKS[1]


@pytest.fixture(scope="module", params=ADDRESSES)
def client(request):
    address = start_server().address if request.param == "local" else request.param
    with Client(address, timeout=20.0) as made:
        yield made


def _ids(answer):
    return [item.item_id for item in answer.items]


def test_list_and_scores_are_the_closed_form(client):
    answer = client.recommend("u0", k=6)
    expected = tiny_model.compute_ranking(U0)
    assert _ids(answer) == [name for name, _ in expected]
    assert [item.score for item in answer.items] == pytest.approx([s for _, s in expected])
    assert (answer.user_id, answer.source, answer.model_version) == ("u0", "user", 1)


def test_contributions_are_named_and_add_up(client):
    for item in client.recommend("u1", k=6).items:
        number = tiny_model.ITEMS.index(item.item_id)
        expected = tiny_model.compute_contributions(U1, number)
        assert list(item.contributions) == list(tiny_model.CHUNKS)
        assert list(item.contributions.values()) == pytest.approx(expected)
        assert sum(item.contributions.values()) == pytest.approx(item.score, abs=1e-6)
        assert tuple(item.attribute_values.values()) == tiny_model.VALUES[number]
        assert tuple(item.attribute_values) == tiny_model.ATTRIBUTES


def test_missing_inputs_take_the_models_defaults(client):
    outputs, _ = client.predict("recommend", {"user_id": ["u0"]})
    assert len(outputs["item_ids"][0]) == tiny_model.DEFAULT_K
    outputs, _ = client.predict("recommend", {"user_id": ["u0", "u1"], "k": 2})
    assert [len(row) for row in outputs["item_ids"]] == [2, 2]


def test_output_filter_leaves_the_others_out(client):
    outputs, _ = client.predict("recommend", {"user_id": ["u0"]}, ["scores"])
    assert list(outputs) == ["scores"]


def test_batch_equals_single(client):
    batch = client.recommend(["u0", "nobody", "u1"], k=4)
    assert batch == [client.recommend(user, k=4) for user in ("u0", "nobody", "u1")]


def test_unknown_user_gets_the_prior_or_the_history(client):
    assert client.recommend("nobody", k=2).source == "prior"
    assert _ids(client.recommend("nobody", k=2)) == ["i0", "i1"]
    answer = client.recommend("nobody", k=6, history_ids=["i3", "i4"])
    expected = tiny_model.compute_ranking(tiny_model.history_chunks(["i3", "i4"]))
    assert answer.source == "history"
    assert [item.score for item in answer.items] == pytest.approx([s for _, s in expected])


def test_ragged_histories_are_padded(client):
    ragged = client.recommend(["a", "b"], k=6, history_ids=[["i3", "i4"], ["i0"]])
    single = client.recommend("b", k=6, history_ids=["i0"])
    assert ragged[1] == single


def test_weight_by_name_moves_the_list(client):
    weighted = client.recommend("u0", k=6, attribute_weights={"genre": 5.0})
    expected = tiny_model.compute_ranking(U0, (1.0, 5.0, 1.0))
    assert [item.score for item in weighted.items] == pytest.approx([s for _, s in expected])
    assert _ids(weighted) != _ids(client.recommend("u0", k=6))


def test_target_pushes_and_filter_requires(client):
    wanted = client.recommend("u0", k=6, attribute_targets={"genre": "Drama"})
    assert set(_ids(wanted)[:2]) == {"i1", "i3"}
    either = client.recommend("u0", k=6, attribute_filters={"genre": ["Drama", "Comedy"]})
    assert set(_ids(either)) == {"i0", "i1", "i2", "i3", "i5"}
    both = client.recommend("u0", k=6, attribute_filters={"genre": "Drama", "year": "new"})
    assert _ids(both) == ["i3"]


def test_exclusions(client):
    assert "i2" in _ids(client.recommend("u0", k=6))
    assert "i2" not in _ids(client.recommend("u0", k=6, exclude_seen=True))
    assert "i3" not in _ids(client.recommend("u0", k=6, exclude_ids=["i3", "left-catalogue"]))
    one, two = client.recommend(["u0", "u0"], k=6, exclude_ids=[["i0", "i1"], ["i5"]])
    assert not {"i0", "i1"} & set(_ids(one)) and "i5" in _ids(one)
    assert "i5" not in _ids(two) and {"i0", "i1"} <= set(_ids(two))


def test_explain(client):
    answer = client.explain("u0", "i3")
    expected = tiny_model.compute_contributions(U0, 3)
    assert list(answer.contributions.values()) == pytest.approx(expected)
    assert answer.score == pytest.approx(sum(expected))
    assert answer.modality_weights["genre"] == {"id": 0.75, "title": 0.25}
    assert [e.item_id for e in answer.evidence] == ["i0"]
    assert answer.evidence[0].contribution == pytest.approx(sum(expected) / 2)
    assert client.explain(["u0", "u1"], ["i3", "i0"])[0] == answer


def test_what_steers_a_list_steers_its_reasons(client):
    asked = {
        "attribute_weights": {"year": 2.0},
        "attribute_targets": {"genre": "Comedy"},
        "target_strength": 1.5,
        "hold_weights": {"residual": 3.0},
    }
    listed = client.recommend("u0", k=6, **asked)
    reasons = client.explain(["u0"] * 6, _ids(listed), **asked)
    assert _ids(listed)[0] in ("i0", "i2", "i5")
    for item, why in zip(listed.items, reasons, strict=True):
        assert why.score == pytest.approx(item.score)
        assert dict(why.contributions) == pytest.approx(dict(item.contributions))
        assert dict(why.lifts) == pytest.approx(dict(item.lifts))
        assert why.targets == {"genre": ["Comedy"]}
        given = 1.5 if item.attribute_values["genre"] == "Comedy" else 0.0
        assert dict(why.target_contributions) == {"year": 0.0, "genre": given, "residual": 0.0}
    with pytest.raises(ServingError, match="romance"):
        client.explain("u0", "i3", attribute_targets={"genre": ["romance"]})


def test_similar_items_leave_the_item_out(client):
    answer = client.similar_items("i0", k=6)
    assert len(answer) == 5 and "i0" not in [item.item_id for item in answer]
    genre = client.similar_items("i0", k=1, attribute_weights={"year": 0.0, "residual": 0.0})
    assert genre[0].item_id == "i5" and genre[0].score == pytest.approx(0.9 * 0.8)
    assert client.similar_items(["i0", "i1"], k=6)[0] == answer


def test_score_gives_nan_for_unknown_candidates(client):
    scores = client.score("u0", ["i0", "gone"])
    assert scores[0] == pytest.approx(sum(tiny_model.compute_contributions(U0, 0)))
    assert math.isnan(scores[1])
    ragged = client.score(["u0", "u1"], [["i0"], ["i0", "i1"]])
    assert [len(row) for row in ragged] == [1, 2]


def test_signatures_honour_the_contract(client):
    # Newer servers leave SignatureDef.defaults out of the metadata.
    assert compare_signatures(client.metadata(), require_defaults=False) == []


def test_status_names_the_version_that_serves(client):
    assert ("AVAILABLE", "OK") in [(s.state, s.error_code) for s in client.status()]
    assert client.wait_ready(timeout=5.0) >= 1


@pytest.mark.parametrize(
    ("ask", "code", "words"),
    [
        (lambda c: c.recommend("u0", k=7), "INVALID_ARGUMENT", ["k must be", "7"]),
        (lambda c: c.recommend("u0", k=0), "INVALID_ARGUMENT", ["k must be", "0"]),
        (lambda c: c.explain("u0", "gone"), "INVALID_ARGUMENT", ["unknown item", "gone"]),
        (
            lambda c: c.recommend("u0", attribute_filters={"genre": "Opera"}),
            "INVALID_ARGUMENT",
            ["genre=Opera"],
        ),
        (
            lambda c: c.recommend("u0", attribute_weights={"yeer": 2.0}),
            "INVALID_ARGUMENT",
            ["yeer", "year, genre, residual"],
        ),
        (lambda c: c.predict("recommend", {"k": 2}), "INVALID_ARGUMENT", ["user_id"]),
        (lambda c: c.predict("score", {"user_id": ["u0"]}), "INVALID_ARGUMENT", ["item_ids"]),
    ],
)
def test_bad_requests_get_the_right_code_and_name_the_thing(client, ask, code, words):
    with pytest.raises(ServingError) as caught:
        ask(client)
    assert caught.value.code == code
    for word in words:
        assert word in caught.value.message
    assert "\n" not in caught.value.message and "{{" not in caught.value.message


@pytest.mark.parametrize(
    ("fill", "code", "word"),
    [
        (lambda r: setattr(r.model_spec, "name", "other"), "NOT_FOUND", "other"),
        (lambda r: setattr(r.model_spec.version, "value", 99), "NOT_FOUND", "99"),
        (lambda r: setattr(r.model_spec, "version_label", "x"), "INVALID_ARGUMENT", "label: x"),
        (lambda r: setattr(r.model_spec, "signature_name", "x"), "FAILED_PRECONDITION", '"x"'),
        (lambda r: r.output_filter.append("x"), "INVALID_ARGUMENT", "x"),
        (lambda r: r.inputs["x"].CopyFrom(r.inputs["user_id"]), "INVALID_ARGUMENT", "x"),
        (lambda r: r.inputs["k"].CopyFrom(r.inputs["user_id"]), "INVALID_ARGUMENT", ""),
    ],
)
def test_raw_requests_are_refused_like_tensorflow_serving_does(client, fill, code, word):
    from serving import protos

    request = protos.PredictRequest()
    request.model_spec.name = "addrl"
    request.model_spec.signature_name = "recommend"
    request.inputs["user_id"].dtype = 7
    request.inputs["user_id"].tensor_shape.dim.add(size=1)
    request.inputs["user_id"].string_val.append(b"u0")
    client._transport.call("Predict", request, 10.0)
    fill(request)
    with pytest.raises(ServingError) as caught:
        client._transport.call("Predict", request, 10.0)
    assert caught.value.code == code
    assert word in caught.value.message


def test_version_and_label_are_addressed():
    address = start_server().address
    with Client(address, label="stable") as stable, Client(address, version=1) as first:
        assert stable.recommend("u0") == first.recommend("u0")


def test_health_service_says_serving():
    from serving import protos

    with Client(start_server().address) as client:
        response = client._transport.call("Check", protos.HealthCheckRequest(), 5.0)
        assert response.status == 1
        with pytest.raises(ServingError, match="NOT_FOUND"):
            client._transport.call("Check", protos.HealthCheckRequest(service="x"), 5.0)


def test_server_says_once_where_it_serves_and_nothing_of_tensorflows():
    server = start_server()
    rest_port = server.rest_url.rpartition(":")[2]
    expected = f"serving addrl version 1, moving version 1 on {server.address} (gRPC), {rest_port}"
    assert (server.folder / "stdout.txt").read_text() == f"{expected} (REST)\n"
    assert "cuda" not in (server.folder / "stderr.txt").read_text().lower()
