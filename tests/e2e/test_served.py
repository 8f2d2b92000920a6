"""What the pipeline pushed, served by the local server and asked over gRPC, by three clients."""

import csv
import json
import os
import random
import subprocess
import sys

import pytest

from tfx_pipeline import workspace
from tfx_pipeline.commands.local_server import start_server
from tfx_pipeline.datasets import loading

# In a process of its own: ovmsclient registers TensorFlow's messages under TensorFlow's names.
_INDEPENDENT = """
import json, sys
import ovmsclient
client = ovmsclient.make_grpc_client(sys.argv[1])
user, version = sys.argv[2].encode(), int(sys.argv[3])
pair = b"\\x0a\\x07user_id" + b"\\x12" + bytes([len(user) + 4])
pair += b"\\x0a" + bytes([len(user) + 2]) + b"\\x0a" + bytes([len(user)]) + user
entry = b"\\x0a" + bytes([len(pair)]) + pair
example = b"\\x0a" + bytes([len(entry)]) + entry
answer = client.predict({"examples": [example]}, "addrl", version)
print(json.dumps({
    "items": [item.decode() for item in answer["item_ids"][0]],
    "scores": answer["scores"][0].tolist(),
    "sums": answer["contributions"][0].sum(axis=-1).tolist(),
    "source": answer["source"][0].decode(),
}))
"""


@pytest.fixture(scope="module")
def place(planted_run):
    return workspace.Workspace(planted_run.runs_dir, "planted")


@pytest.fixture(scope="module")
def address(place):
    with start_server(place) as found:
        yield found


@pytest.fixture(scope="module")
def client(address):
    from serving.client import Client

    with Client(address, timeout=30) as connected:
        yield connected


@pytest.fixture(scope="module")
def known(place):
    """Interactions of the planted data, their test matrix and the item ids."""
    item_ids = loading.load_item_ids(place.data)
    return (*loading.load_interactions(place.data, item_ids), item_ids)


def test_an_independent_client_gets_the_same_list(place, address, client, known):
    user, version = known[0].user_ids[0], max(place.list_versions())
    done = subprocess.run(
        [sys.executable, "-c", _INDEPENDENT, address, user, str(version)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    ours = client.recommend(user)
    assert answer["source"] == "user"
    assert answer["items"] == [item.item_id for item in ours.items] and len(answer["items"]) == 10
    assert answer["scores"] == pytest.approx([item.score for item in ours.items])
    assert answer["sums"] == pytest.approx(answer["scores"], abs=1e-4)


def test_the_lists_of_all_users_have_the_metrics_that_the_evaluator_reported(
    planted_run, address, known, tmp_path
):
    """The command line's lists, scored from scratch, against TFMA's figures to four digits."""
    import numpy as np

    from addrl_keras.metrics import ranking

    interactions, test, item_ids = known
    users, lists = tmp_path / "users.txt", tmp_path / "lists.csv"
    users.write_text("\n".join(interactions.user_ids) + "\n")
    addrl = os.path.join(os.path.dirname(sys.executable), "addrl")
    options = ["--users-file", str(users), "--k", "20", "--csv", str(lists), "--address", address]
    subprocess.run([addrl, "recommend", "planted", *options], check=True, capture_output=True)
    rows = {user: i for i, user in enumerate(interactions.user_ids)}
    columns = {item: i for i, item in enumerate(item_ids)}
    ranked = np.full((len(rows), 20), -1)
    with open(lists, newline="") as file:
        for row in csv.DictReader(file):
            ranked[rows[row["user"]], int(row["rank"]) - 1] = columns[row["item"]]
    assert (ranked >= 0).all()
    counted = (interactions.known.getnnz(axis=1) > 0) & (test.getnnz(axis=1) > 0)
    recall = ranking.compute_recall_at_k(ranked, test)[counted].mean()
    ndcg = ranking.compute_ndcg_at_k(ranked, test)[counted].mean()
    assert recall == pytest.approx(planted_run.result.metrics["recall_at_20"], abs=5e-5)
    assert ndcg == pytest.approx(planted_run.result.metrics["ndcg_at_20"], abs=5e-5)


def test_contributions_of_a_thousand_random_pairs_add_up(client, known):
    interactions, _, item_ids = known
    generator = random.Random(0)
    users = generator.choices(interactions.user_ids, k=1000)
    items = generator.choices(item_ids, k=1000)
    answers = client.explain(users, items)
    assert len(answers) == 1000
    errors = [abs(sum(a.contributions.values()) - a.score) for a in answers]
    assert max(errors) < 1e-4
    scores = [row[0] for row in client.score(users, [[item] for item in items])]
    assert scores == pytest.approx([answer.score for answer in answers], abs=1e-4)


def test_explain_recommend_and_score_agree_and_reasons_add_up_both_ways(client, known):
    users = random.Random(1).sample(known[0].user_ids, 20)
    for answer in client.recommend(users, 5):
        items = [item.item_id for item in answer.items]
        explained = client.explain([answer.user_id] * len(items), items)
        scores = client.score(answer.user_id, items)
        for item, why, score in zip(answer.items, explained, scores, strict=True):
            assert why.score == pytest.approx(item.score, abs=1e-5)
            assert score == pytest.approx(item.score, abs=1e-5)
            assert dict(why.contributions) == pytest.approx(dict(item.contributions), abs=1e-5)
            assert dict(why.lifts) == pytest.approx(dict(item.lifts), abs=1e-5)
            for name, contribution in why.contributions.items():
                past = sum(each.contributions[name] for each in why.evidence)
                assert past == pytest.approx(contribution, abs=1e-5)
            # The strongest comes first, and nothing of the history is left out.
            strength = [each.contribution for each in why.evidence]
            assert strength == sorted(strength, reverse=True)
            row = known[0].user_ids.index(answer.user_id)
            assert len(strength) == known[0].known[row].nnz


def test_reasons_of_a_steered_list_are_those_of_the_list(client, known):
    users = random.Random(2).sample(known[0].user_ids, 10)
    hold = client.profile(users[0]).hold_weights["genre"]
    preference = client.profile(users[0]).preferences["genre"][0]
    asked = {
        "attribute_weights": {"year": 1.5},
        "attribute_targets": {"genre": preference.value},
        "hold_weights": hold,
    }
    for answer in client.recommend(users, 5, **asked):
        items = [item.item_id for item in answer.items]
        explained = client.explain([answer.user_id] * len(items), items, **asked)
        for item, why in zip(answer.items, explained, strict=True):
            assert why.score == pytest.approx(item.score, abs=1e-5)
            assert dict(why.contributions) == pytest.approx(dict(item.contributions), abs=1e-5)
            assert dict(why.lifts) == pytest.approx(dict(item.lifts), abs=1e-5)
            for name, contribution in why.contributions.items():
                past = sum(each.contributions[name] for each in why.evidence)
                wished = why.target_contributions.get(name, 0.0)
                assert past + wished == pytest.approx(contribution, abs=1e-5)


def test_a_profile_tells_what_holds_and_a_stranger_can_wish(client, known):
    item_ids = known[2]
    profile = client.profile("nobody", history_ids=item_ids[:5])
    assert profile.source == "history"
    assert sum(profile.importance.values()) == pytest.approx(1.0, abs=1e-4)
    shares = [each.expected_share for each in profile.preferences["year"]]
    assert sum(shares) == pytest.approx(1.0, abs=1e-4)
    hold = profile.hold_weights["genre"]
    assert hold["genre"] == 1.0

    def count(**settings):
        answer = client.recommend("nobody", 20, history_ids=item_ids[:5], **settings)
        return sum("Western" in item.attribute_values["genre"].split("|") for item in answer.items)

    neutral = count()
    wish = {"attribute_targets": {"genre": "Western"}}
    shares = [
        count(**wish, hold_weights=hold, target_strength=strength) for strength in (0.5, 1, 2, 4)
    ]
    assert neutral <= shares[0] and shares == sorted(shares) and shares[-1] > neutral


def test_weights_wanted_values_and_filters_act_over_the_wire(client, known):
    user = known[0].user_ids[0]
    neutral = client.recommend(user, 20)
    same = client.recommend(user, 20, attribute_weights=dict.fromkeys(("year", "genre"), 1.0))
    assert [item.item_id for item in same.items] == [item.item_id for item in neutral.items]
    without = client.recommend(user, 20, attribute_weights={"genre": 0.0})
    assert all(item.contributions["genre"] == 0 for item in without.items)

    def count(answer, genre):
        return sum(genre in item.attribute_values["genre"].split("|") for item in answer.items)

    wanted = client.recommend(user, 20, attribute_targets={"genre": "Western"})
    assert count(wanted, "Western") > count(neutral, "Western")
    filtered = client.recommend(user, 20, attribute_filters={"genre": "Western"})
    assert count(filtered, "Western") == len(filtered.items) > 0


def test_a_stranger_with_three_items_gets_what_a_known_user_with_them_would(client, known):
    item_ids = known[2]
    stranger = client.recommend("nobody", 5, history_ids=item_ids[:3])
    other = client.recommend("nobody", 5, history_ids=item_ids[40:43])
    popular = client.recommend("nobody", 5)
    assert (stranger.source, popular.source) == ("history", "prior")
    lists = [[item.item_id for item in answer.items] for answer in (stranger, other, popular)]
    assert lists[0] != lists[1] != lists[2]
    assert not set(lists[0]) & set(item_ids[:3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k must be between 1 and"),
        ({"k": 10_000}, "k must be between 1 and"),
        ({"attribute_targets": {"genre": "Comdy"}}, "genre=Comdy"),
        ({"attribute_filters": {"colour": "red"}}, "colour=red"),
        ({"attribute_weights": {"colour": 2.0}}, "colour"),
    ],
)
def test_a_bad_request_is_refused_by_name(client, known, settings, message):
    from serving.errors import ServingError

    with pytest.raises(ServingError, match=message) as caught:
        client.recommend(known[0].user_ids[0], **{"k": 5, **settings})
    assert caught.value.code == "INVALID_ARGUMENT"
