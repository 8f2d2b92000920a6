"""The signatures as functions: sums, controls, unknown users and items, and what is refused."""

import numpy as np
import pytest
import tensorflow as tf
from addrl_data import BRANDS, GENRES, NUM_ITEMS, NUM_USERS, YEARS, make_config

from addrl_keras import Recommender, fit
from addrl_keras.slices import MISSING, fill_rows, name_activity

USERS = [f"user {u:02d}" for u in range(NUM_USERS)]
CHUNKS = ["year", "genre", "brand", "residual", "memory"]


def _text(tensor):
    return np.vectorize(lambda x: x.decode(), otypes=[object])(np.asarray(tensor))


def _items(outputs):
    return [[item for item in row if item] for row in _text(outputs["item_ids"])]


def _examples(pairs, counts=None):
    def feature(value):
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    rows = []
    for (user, item), count in zip(pairs, counts or [1] * len(pairs), strict=True):
        features = {"user_id": user, "item_id": item, "relevant_count": count}
        proto = tf.train.Features(feature={k: feature(v) for k, v in features.items()})
        rows.append(tf.train.Example(features=proto).SerializeToString())
    return tf.constant(rows)


class TestRecommend:
    def test_outputs_have_the_documented_shapes(self, recommender):
        outputs = recommender.recommend(USERS[:3], k=4)
        shapes = {name: tuple(value.shape) for name, value in outputs.items()}
        assert shapes == {
            "item_ids": (3, 4),
            "scores": (3, 4),
            "contributions": (3, 4, 5),
            "average_contributions": (3, 5),
            "contribution_names": (5,),
            "attribute_values": (3, 4, 3),
            "source": (3,),
        }
        assert _text(outputs["contribution_names"]).tolist() == CHUNKS
        assert _text(outputs["source"]).tolist() == ["user"] * 3

    def test_it_is_the_models_own_ranking(self, planted, fitted, recommender):
        known = planted.interactions.known
        scores = np.where(known.toarray() > 0, -np.inf, fitted.model.compute_scores(known))
        outputs = recommender.recommend(USERS, k=20)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :20]
        expected = np.take_along_axis(scores, order, axis=1)
        np.testing.assert_allclose(outputs["scores"], expected, rtol=1e-4, atol=1e-5)
        names = np.array(planted.catalogue.item_ids, dtype=object)[order]
        assert (_text(outputs["item_ids"]) == names).mean() > 0.99

    def test_contributions_add_up_to_the_score(self, recommender):
        for options in (
            {},
            {"attribute_weights": {"year": 3.0, "residual": -0.5, "memory": 0.0}},
            {"attribute_targets": [["genre=comedy", "brand=brand 01"]]},
        ):
            outputs = recommender.recommend([*USERS, "nobody"], k=20, **options)
            total = np.sum(outputs["contributions"], axis=-1)
            np.testing.assert_allclose(total, outputs["scores"], atol=1e-5, rtol=1e-5)

    def test_averages_are_over_the_whole_catalogue(self, recommender):
        for options in (
            {},
            {"attribute_weights": {"year": 3.0, "memory": 0.0}},
            {"attribute_targets": [["genre=comedy", "brand=brand 01"]], "target_strength": [1.5]},
        ):
            everything = {"k": NUM_ITEMS, "exclude_seen": False, **options}
            whole = recommender.recommend([*USERS, "nobody"], **everything)
            expected = np.mean(whole["contributions"], axis=1)
            outputs = recommender.recommend([*USERS, "nobody"], k=3, **options)
            np.testing.assert_allclose(outputs["average_contributions"], expected, atol=1e-5)

    def test_attribute_values_are_the_items_own(self, planted, recommender):
        outputs = recommender.recommend(USERS, k=NUM_ITEMS, exclude_seen=False)
        rows = {name: values.rows() for name, values in planted.catalogue.values.items()}
        index = {item: i for i, item in enumerate(planted.catalogue.item_ids)}
        for item, values in zip(
            _text(outputs["item_ids"])[0], _text(outputs["attribute_values"])[0], strict=True
        ):
            expected = ["|".join(rows[name][index[item]]) for name in ("year", "genre", "brand")]
            assert values.tolist() == expected

    def test_ten_items_are_the_default(self, recommender):
        assert recommender.recommend(USERS[:1])["item_ids"].shape == (1, 10)

    def test_a_batch_equals_its_rows(self, recommender):
        options = {"k": 5, "history_ids": [["item 01", "item 02"], [], ["zz", ""]]}
        batch = recommender.recommend(["user 00", "user 01", "nobody"], **options)
        assert _text(batch["source"]).tolist() == ["history", "user", "prior"]
        for row, user in enumerate(["user 00", "user 01", "nobody"]):
            one = recommender.recommend([user], k=5, history_ids=[options["history_ids"][row]])
            assert _text(one["item_ids"])[0].tolist() == _text(batch["item_ids"])[row].tolist()
            np.testing.assert_allclose(one["scores"][0], batch["scores"][row], atol=1e-5)

    def test_an_empty_batch_is_an_empty_answer(self, recommender):
        outputs = recommender.recommend(tf.zeros((0,), tf.string), k=3)
        assert outputs["item_ids"].shape == (0, 3)


class TestSeenAndExcluded:
    def test_known_items_are_left_out_unless_asked_for(self, planted, recommender):
        known = planted.interactions.known
        outputs = _items(recommender.recommend(USERS, k=NUM_ITEMS))
        for user, items in enumerate(outputs):
            own = {f"item {i:02d}" for i in known[user].indices}
            assert not own & set(items)
            assert len(items) == NUM_ITEMS - len(own)
        everything = _items(recommender.recommend(USERS, k=NUM_ITEMS, exclude_seen=False))
        assert all(len(set(items)) == NUM_ITEMS for items in everything)

    def test_a_request_history_counts_as_seen_beside_the_stored_one(self, planted, recommender):
        stored = {f"item {i:02d}" for i in planted.interactions.known[0].indices}
        extra = next(i for i in planted.catalogue.item_ids if i not in stored)
        items = _items(recommender.recommend(USERS[:1], k=NUM_ITEMS, history_ids=[[extra]]))[0]
        assert not (stored | {extra}) & set(items)

    def test_excluded_items_never_come_and_unknown_ids_are_ignored(self, recommender):
        before = _items(recommender.recommend(USERS[:2], k=3))
        excluded = [["zz", before[0][0], "", before[0][0]], [before[1][1]]]
        after = _items(recommender.recommend(USERS[:2], k=3, exclude_ids=excluded))
        assert after[0][:2] == before[0][1:]
        assert after[1][:2] == [before[1][0], before[1][2]]
        same = _items(recommender.recommend(USERS[:2], k=3, exclude_ids=[["zz", "yy"], ["", ""]]))
        assert same == before

    def test_places_without_an_item_are_padded(self, recommender):
        outputs = recommender.recommend(USERS[:1], k=NUM_ITEMS)
        empty = _text(outputs["item_ids"])[0] == ""
        assert empty.sum() == 10
        assert empty[-10:].all()
        assert np.isneginf(outputs["scores"][0, -10:]).all()
        assert not np.any(outputs["contributions"][0, -10:])
        assert set(_text(outputs["attribute_values"])[0, -10:].ravel()) == {""}


class TestUnknownUsers:
    HISTORY = ("item 04", "item 08", "item 12")

    def test_a_history_serves_an_unknown_user_like_a_known_one(self, planted, recommender):
        stored = [f"item {i:02d}" for i in planted.interactions.known[5].indices]
        known = recommender.recommend(["user 05"], k=15)
        unknown = recommender.recommend(["nobody"], k=15, history_ids=[stored])
        assert _items(unknown) == _items(known)
        np.testing.assert_allclose(unknown["scores"], known["scores"], rtol=1e-5, atol=1e-6)
        assert _text(unknown["source"]).tolist() == ["history"]

    def test_a_history_takes_the_place_of_the_stored_one(self, recommender):
        options = {"k": 5, "history_ids": [self.HISTORY], "exclude_seen": False}
        known = recommender.recommend(["user 05"], **options)
        unknown = recommender.recommend(["nobody"], **options)
        np.testing.assert_allclose(known["scores"], unknown["scores"], rtol=1e-6)
        assert _text(known["source"]).tolist() == ["history"]

    def test_order_padding_repetition_and_unknown_ids_do_not_matter(self, recommender):
        plain = recommender.recommend(["nobody"], k=9, history_ids=[self.HISTORY])
        messy = ["", "zz", *self.HISTORY[::-1], self.HISTORY[0], ""]
        other = recommender.recommend(["nobody"], k=9, history_ids=[messy])
        assert _items(plain) == _items(other)
        np.testing.assert_allclose(plain["scores"], other["scores"], rtol=1e-6)

    def test_different_histories_give_different_lists(self, recommender):
        lists = recommender.recommend(
            ["a", "b"], k=5, history_ids=[self.HISTORY, ("item 01", "item 21")]
        )
        assert _items(lists)[0] != _items(lists)[1]

    def test_without_a_history_popularity_decides(self, planted, recommender):
        outputs = recommender.recommend(["nobody"], k=NUM_ITEMS)
        assert _text(outputs["source"]).tolist() == ["prior"]
        counts = np.asarray(planted.interactions.known.sum(axis=0)).ravel()
        order = np.argsort(-counts, kind="stable")
        assert _items(outputs)[0] == [f"item {i:02d}" for i in order]
        share = np.log((counts[order] + 1) / (counts + 1).sum())
        np.testing.assert_allclose(outputs["scores"][0], share, rtol=1e-5)
        residual = CHUNKS.index("residual")
        np.testing.assert_allclose(outputs["contributions"][0, :, residual], share, rtol=1e-5)


class TestWeights:
    def test_one_is_neutral(self, recommender):
        plain = recommender.recommend(USERS, k=5)
        ones = recommender.recommend(USERS, k=5, attribute_weights=np.ones((NUM_USERS, 5)))
        for name in plain:
            np.testing.assert_array_equal(plain[name], ones[name])

    @pytest.mark.parametrize("chunk", CHUNKS)
    def test_zero_removes_a_chunk_and_nothing_else(self, recommender, chunk):
        options = {"k": NUM_ITEMS, "exclude_seen": False}
        plain = recommender.recommend(USERS[:4], **options)
        without = recommender.recommend(USERS[:4], attribute_weights={chunk: 0.0}, **options)
        where = CHUNKS.index(chunk)
        assert np.abs(plain["contributions"][..., where]).max() > 0
        assert not np.any(without["contributions"][..., where])
        np.testing.assert_allclose(
            _by_item(without, "contributions"),
            _by_item(plain, "contributions") * (np.arange(5) != where),
            atol=1e-5,
        )
        assert _items(without) != _items(plain)

    def test_a_weight_multiplies_its_contribution(self, recommender):
        options = {"k": NUM_ITEMS, "exclude_seen": False}
        plain = _by_item(recommender.recommend(USERS[:4], **options), "contributions")
        weighted = recommender.recommend(USERS[:4], attribute_weights={"genre": 2.5}, **options)
        expected = plain * np.array([1, 2.5, 1, 1, 1])
        np.testing.assert_allclose(_by_item(weighted, "contributions"), expected, atol=1e-5)

    def test_users_may_have_weights_of_their_own(self, recommender):
        weights = np.ones((2, 5), np.float32)
        weights[1, 0] = 4.0
        both = recommender.recommend(USERS[:2], k=5, attribute_weights=weights)
        assert _items(both)[0] == _items(recommender.recommend(USERS[:1], k=5))[0]
        one = recommender.recommend(USERS[1:2], k=5, attribute_weights={"year": 4.0})
        assert _items(both)[1] == _items(one)[0]

    def test_an_unknown_chunk_is_named_with_what_there_is(self, recommender):
        with pytest.raises(ValueError, match=r"year, genre, brand, residual, memory\. .*: colour"):
            recommender.recommend(USERS[:1], attribute_weights={"colour": 2.0})

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_weight_must_be_finite(self, recommender, bad):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"must be finite numbers within 10,000 for year"
        ):
            recommender.recommend(USERS[:1], attribute_weights={"year": bad})

    def test_a_wrong_number_of_weights_is_refused(self, recommender):
        with pytest.raises(ValueError, match=r"attribute_weights .*\[None, 5\].*\[1, 3\]"):
            recommender.recommend(USERS[:1], attribute_weights=[[1.0, 1.0, 1.0]])


def _by_item(outputs, name):
    """Outputs `[batch, num_items, ...]` in the order of the catalogue."""
    order = np.argsort(_text(outputs["item_ids"]), axis=1)
    values = np.asarray(outputs[name])
    return np.stack([row[indices] for row, indices in zip(values, order, strict=True)])


class TestTargetsAndFilters:
    def test_a_target_lifts_items_of_the_value(self, planted, recommender):
        plain = recommender.recommend(USERS, k=10)
        wanted = recommender.recommend(USERS, k=10, attribute_targets=[["year=<1980"]])

        def share(outputs):
            return (_text(outputs["attribute_values"])[..., 0] == "<1980").mean()

        assert share(wanted) > share(plain) + 0.2

    def test_a_boost_is_its_strength_in_standard_deviations(self, fitted, recommender):
        options = {"k": NUM_ITEMS, "exclude_seen": False}
        plain = _by_item(recommender.recommend(USERS[:3], **options), "scores")
        wanted = recommender.recommend(
            USERS[:3], attribute_targets=[["year=<1980", "brand=brand 00"]], **options
        )
        strength = 2.0 * plain.std(axis=1, keepdims=True)
        distributions = [w.numpy() for w in fitted.model.item_tower.distributions]
        boost = distributions[0][:, 0] + distributions[2][:, 0]
        np.testing.assert_allclose(
            _by_item(wanted, "scores"), plain + strength * boost, rtol=1e-4, atol=1e-4
        )

    def test_strength_counts_in_standard_deviations(self, fitted, recommender):
        def score(strength):
            return _by_item(
                recommender.recommend(
                    USERS,
                    k=NUM_ITEMS,
                    exclude_seen=False,
                    attribute_targets=[["genre=comedy"]],
                    target_strength=strength,
                ),
                "scores",
            )

        none, default = score([0.0]), score(None)
        neutral = recommender.recommend(USERS, k=NUM_ITEMS, exclude_seen=False)
        np.testing.assert_array_equal(none, _by_item(neutral, "scores"))
        np.testing.assert_array_equal(default, score([fitted.model.config.model.target_strength]))
        own = np.linspace(0.0, 3.0, NUM_USERS)
        np.testing.assert_allclose(
            score(own) - none, own[:, None] * (score([1.0]) - none), atol=1e-4
        )

    def test_what_holds_counts_among_what_is_wanted_alone(self, planted, fitted, recommender):
        wish = {"attribute_targets": [["genre=comedy", "genre=drama"]], "target_strength": [0.5]}
        everything = {"k": NUM_ITEMS, "exclude_seen": False}
        weights = np.array([3.0, 1.0, 1.0, 0.5, 0.0])
        hold = dict(zip(CHUNKS, weights, strict=True))
        outputs = recommender.recommend(USERS, hold_weights=hold, **wish, **everything)
        parts = fitted.model.split_scores(planted.interactions.known)
        scores, held = parts.sum(axis=1), (parts * weights[:, None]).sum(axis=1)
        distribution = fitted.model.item_tower.distributions[1].numpy()
        wanted = [GENRES.index("comedy"), GENRES.index("drama")]
        labels = planted.catalogue.values["genre"].matrix.toarray() > 0
        known = labels.any(axis=1)
        boost = np.where(known, labels[:, wanted].any(axis=1), distribution[:, wanted].sum(axis=1))
        spread = scores.std(axis=1, keepdims=True)
        scale = spread / held.std(axis=1, keepdims=True)
        shift = scores.mean(axis=1, keepdims=True) - scale * held.mean(axis=1, keepdims=True)
        chance = 0.5 * boost
        expected = scores + chance * (scale * held + shift - scores) + 0.5 * spread * boost
        np.testing.assert_allclose(_by_item(outputs, "scores"), expected, atol=1e-4)
        total = np.sum(outputs["contributions"], axis=-1)
        np.testing.assert_allclose(total, outputs["scores"], atol=1e-5)
        whole = np.mean(outputs["contributions"], axis=1)
        np.testing.assert_allclose(outputs["average_contributions"], whole, atol=1e-5)
        # Without a wish there is nothing that it could hold, and one of no strength is none.
        neutral = recommender.recommend(USERS, **everything)
        for nothing in ({}, {**wish, "target_strength": [0.0]}):
            same = recommender.recommend(USERS, hold_weights=hold, **nothing, **everything)
            np.testing.assert_array_equal(same["scores"], neutral["scores"])
        # Who does not want a value pushes it down, and holds nothing.
        against = {**wish, "target_strength": [-0.5]}
        outputs = recommender.recommend(USERS, hold_weights=hold, **against, **everything)
        np.testing.assert_allclose(
            _by_item(outputs, "scores"), scores - 0.5 * spread * boost, atol=1e-4
        )

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38, -2e4])
    def test_a_strength_must_be_finite(self, recommender, bad):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"target_strength .*finite"):
            recommender.recommend(USERS[:1], target_strength=[bad])

    def test_users_may_want_different_values(self, recommender):
        both = recommender.recommend(
            USERS[:2], k=5, attribute_targets=[[], ["genre=horror", "genre=drama"]]
        )
        assert _items(both)[0] == _items(recommender.recommend(USERS[:1], k=5))[0]
        one = recommender.recommend(
            USERS[1:2], k=5, attribute_targets=[["genre=drama", "genre=horror"]]
        )
        assert _items(both)[1] == _items(one)[0]

    def test_filters_are_or_within_an_attribute_and_and_between(self, planted, recommender):
        filters = [["genre=comedy", "genre=horror", "year=>=2000"]]
        outputs = recommender.recommend(
            USERS, k=NUM_ITEMS, exclude_seen=False, attribute_filters=filters
        )
        genre = planted.catalogue.values["genre"].matrix.toarray() > 0
        year = planted.catalogue.values["year"].matrix.toarray() > 0
        passing = np.flatnonzero((genre[:, 1] | genre[:, 3]) & year[:, 2])
        assert 0 < len(passing) < NUM_ITEMS
        for items in _items(outputs):
            assert sorted(items) == [f"item {i:02d}" for i in passing]
        assert np.isneginf(outputs["scores"][:, len(passing) :]).all()

    def test_a_filter_does_not_change_scores(self, recommender):
        plain = recommender.recommend(USERS[:1], k=NUM_ITEMS)
        some = recommender.recommend(USERS[:1], k=5, attribute_filters=[["genre=drama"]])
        kept = [
            item
            for item, values in zip(
                _text(plain["item_ids"])[0], _text(plain["attribute_values"])[0], strict=True
            )
            if "drama" in values[1].split("|")
        ]
        assert _items(some)[0] == kept[:5]

    @pytest.mark.parametrize("name", ["attribute_targets", "attribute_filters"])
    @pytest.mark.parametrize("bad", ["colour=red", "genre=western", "drama"])
    def test_what_is_unknown_is_quoted(self, recommender, name, bad):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            recommender.recommend(USERS[:1], **{name: [["genre=drama", bad]]})
        assert name in str(error.value)
        assert bad in str(error.value)
        assert "year, genre, brand" in str(error.value)


@pytest.mark.parametrize("k", [0, -1, NUM_ITEMS + 1])
def test_k_must_fit_the_catalogue(recommender, k):
    with pytest.raises(tf.errors.InvalidArgumentError, match="k must be between 1 and 40"):
        recommender.recommend(USERS[:1], k=k)
    with pytest.raises(tf.errors.InvalidArgumentError, match="k must be between 1 and 40"):
        recommender.similar_items(["item 00"], k=k)


def test_inputs_of_the_wrong_rank_are_refused(recommender):
    with pytest.raises(
        ValueError, match=r"user_id must have the shape \[None\].*Received: shape \[\]"
    ):
        recommender.recommend("user 00")
    with pytest.raises(ValueError, match=r"history_ids must have the shape \[None, None\]"):
        recommender.recommend(USERS[:1], history_ids=["item 00"])


class TestExplain:
    def test_it_agrees_with_recommend_and_score(self, recommender):
        listed = recommender.recommend(USERS, k=3)
        first = [row[0] for row in _items(listed)]
        explained = recommender.explain(USERS, item_id=first)
        np.testing.assert_allclose(explained["score"], listed["scores"][:, 0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            explained["contributions"], listed["contributions"][:, 0], rtol=1e-4, atol=1e-5
        )
        scored = recommender.score(USERS, _items(listed))["scores"]
        np.testing.assert_allclose(scored, listed["scores"], rtol=1e-4, atol=1e-5)

    def test_evidence_adds_up_to_the_contributions(self, planted, recommender):
        items = [f"item {u % NUM_ITEMS:02d}" for u in range(NUM_USERS)]
        outputs = recommender.explain(USERS, item_id=items)
        total = np.sum(outputs["evidence_contributions"], axis=1)
        np.testing.assert_allclose(total, outputs["contributions"], atol=1e-5)
        known = planted.interactions.known
        for user, ids in enumerate(_text(outputs["evidence_ids"])):
            own = {f"item {i:02d}" for i in known[user].indices}
            assert set(ids) - {""} == own
        strength = np.sum(outputs["evidence_contributions"], axis=-1)[:, :10]
        assert (np.diff(strength, axis=1) <= 1e-6).all(), "the strongest argument comes first"

    @pytest.mark.parametrize("source", ["user", "history", "prior"])
    @pytest.mark.parametrize(
        "asked",
        [
            {"attribute_weights": {"year": 3.0, "memory": 0.0, "residual": -0.5}},
            {"attribute_targets": [["genre=drama"]]},
            {
                "attribute_weights": {"year": 2.0},
                "attribute_targets": [["genre=drama", "year=<1980"]],
                "target_strength": [0.6],
                "hold_weights": {"brand": 3.0, "memory": 0.25},
            },
        ],
        ids=["weights", "wish", "both"],
    )
    def test_what_steers_a_list_steers_its_reasons(self, planted, recommender, asked, source):
        user = USERS[3] if source == "user" else "nobody"
        history = [["item 01", "item 02"]] if source == "history" else [[""]]
        listed = recommender.recommend(
            [user], k=NUM_ITEMS, history_ids=history, exclude_seen=False, **asked
        )
        assert _text(listed["source"]).tolist() == [source]
        items = _items(listed)[0]

        def repeat(value):
            return value if isinstance(value, dict) else value * NUM_ITEMS

        outputs = recommender.explain(
            [user] * NUM_ITEMS,
            history * NUM_ITEMS,
            items,
            **{name: repeat(value) for name, value in asked.items()},
        )
        np.testing.assert_allclose(outputs["score"], listed["scores"][0], atol=1e-5)
        np.testing.assert_allclose(outputs["contributions"], listed["contributions"][0], atol=1e-5)
        np.testing.assert_allclose(
            outputs["average_contributions"][:1], listed["average_contributions"], atol=1e-5
        )
        wished = np.asarray(outputs["target_contributions"])
        if source != "prior":
            past = np.sum(outputs["evidence_contributions"], axis=1)
            np.testing.assert_allclose(past + wished, outputs["contributions"], atol=1e-5)
        labels = planted.catalogue.values["genre"].matrix.toarray() > 0
        drama = planted.catalogue.values["genre"].names.index("drama")
        rows = [planted.catalogue.item_ids.index(item) for item in items]
        has = labels[rows]
        if "attribute_targets" not in asked:
            assert not wished.any()
        elif "hold_weights" not in asked:
            # Of items that are known to have it or not; the others get what is likely.
            known = has.any(axis=1)
            np.testing.assert_array_equal((wished[:, 1] != 0)[known], has[known, drama])
            np.testing.assert_allclose(np.delete(wished, 1, axis=1), 0, atol=1e-5)

    def test_what_holds_a_list_stretches_contributions_about_their_mean(self, planted, recommender):
        """Of items that have what is wanted; what the wish gives is the strength alone."""
        user, hold = USERS[3], {"brand": 3.0, "memory": 0.25}
        items = list(planted.catalogue.item_ids)
        neutral = recommender.explain([user] * NUM_ITEMS, item_id=items)
        wished = recommender.explain(
            [user] * NUM_ITEMS,
            item_id=items,
            attribute_targets=[["genre=drama"]] * NUM_ITEMS,
            target_strength=[2.0] * NUM_ITEMS,
            hold_weights=hold,
        )
        drama = planted.catalogue.values["genre"].names.index("drama")
        has = planted.catalogue.values["genre"].matrix.toarray()[:, drama] > 0
        before = np.asarray(neutral["contributions"], np.float64)
        weights = np.array([hold.get(name, 1.0) for name in CHUNKS])
        scores, held = before.sum(axis=1), before @ weights
        scale = scores.std() / held.std()
        mean = before.mean(axis=0)
        expected = mean + scale * weights * (before - mean)
        expected[:, 1] += 2.0 * scores.std()
        np.testing.assert_allclose(wished["contributions"][has], expected[has], atol=2e-5)

    def test_reasons_refuse_what_the_list_refuses(self, recommender):
        for asked, message in (
            ({"attribute_targets": [["genre=western"]]}, "genre=western"),
            ({"attribute_weights": np.full((1, 5), np.nan)}, "attribute_weights must be finite"),
            ({"target_strength": [np.inf]}, "target_strength must be a finite"),
        ):
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                recommender.explain(USERS[:1], item_id=["item 00"], **asked)

    def test_a_history_in_the_request_is_the_evidence(self, recommender):
        outputs = recommender.explain(["nobody"], [["item 01", "item 02", "zz"]], ["item 05"])
        assert {i for i in _text(outputs["evidence_ids"])[0] if i} == {"item 01", "item 02"}

    def test_nobody_asks_nothing(self, recommender):
        outputs = recommender.explain(np.array([], object), item_id=np.array([], object))
        assert outputs["evidence_contributions"].shape == (0, 0, len(CHUNKS))

    def test_who_has_no_history_has_no_evidence(self, recommender):
        outputs = recommender.explain(["nobody"], item_id=["item 05"])
        assert outputs["evidence_ids"].shape == (1, 0)
        assert outputs["evidence_contributions"].shape == (1, 0, len(CHUNKS))
        assert np.flatnonzero(outputs["contributions"][0]).tolist() == [CHUNKS.index("residual")]

    def test_names_and_modality_weights_come_along(self, fitted, recommender):
        outputs = recommender.explain(USERS[:2], item_id=["item 03", "item 39"])
        assert _text(outputs["modality_names"]).tolist() == ["id", "title", "people"]
        assert _text(outputs["contribution_names"]).tolist() == CHUNKS
        np.testing.assert_array_equal(outputs["modality_weights"], fitted.modality_weights[[3, 39]])

    def test_lifts_are_what_speaks_for_this_item_more_than_for_others(self, recommender):
        item = "item 03"
        outputs = recommender.explain(USERS, item_id=[item] * NUM_USERS)
        listed = recommender.recommend(USERS, k=NUM_ITEMS, exclude_seen=False)
        np.testing.assert_allclose(
            outputs["average_contributions"], np.mean(listed["contributions"], axis=1), atol=1e-5
        )

    def test_typical_values_are_those_of_the_item_that_most_of_the_history_has(
        self, planted, recommender
    ):
        known = planted.interactions.known
        for user, item in ((0, 0), (7, 20), (11, 6), (30, 39)):
            outputs = recommender.explain([USERS[user]], item_id=[f"item {item:02d}"])
            for k, name in enumerate(CHUNKS[:3]):
                labels = planted.catalogue.values[name].matrix.toarray() > 0
                names = planted.catalogue.values[name].names
                has_value = labels.any(axis=1)
                own = labels[known[user].indices]
                shares = own.sum(axis=0) / max(1, own.any(axis=1).sum())
                values = np.flatnonzero(labels[item])
                found = _text(outputs["typical_values"])[0, k]
                if not len(values):
                    assert found == "" and outputs["history_shares"][0, k] == 0
                    continue
                best = values[np.argmax(shares[values])]
                assert found == names[best]
                assert float(outputs["history_shares"][0, k]) == pytest.approx(shares[best])
                catalogue = labels[:, best].sum() / has_value.sum()
                assert float(outputs["catalogue_shares"][0, k]) == pytest.approx(catalogue)

    def test_an_unknown_item_is_quoted(self, recommender):
        words = r"(?s)not in the catalogue of \d+ items, whose ids are such as item \d+\. .*item 99"
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            recommender.explain(USERS[:1], item_id=["item 99"])
        with pytest.raises(ValueError, match="explain needs an item_id"):
            recommender.explain(USERS[:1])


class TestProfile:
    def test_importance_is_the_share_in_the_variance_of_the_scores(self, recommender):
        outputs = recommender.profile(USERS)
        parts = np.asarray(
            recommender.recommend(USERS, k=NUM_ITEMS, exclude_seen=False)["contributions"]
        )
        parts = parts - parts.mean(axis=1, keepdims=True)
        scores = parts.sum(axis=-1)
        expected = (parts * scores[..., None]).mean(axis=1) / (scores**2).mean(axis=1)[:, None]
        np.testing.assert_allclose(outputs["importance"], expected, atol=1e-4)
        np.testing.assert_allclose(np.sum(outputs["importance"], axis=1), 1.0, atol=1e-5)
        np.testing.assert_allclose(
            outputs["population_importance"], expected.mean(axis=0), atol=1e-4
        )

    def test_an_affinity_is_what_a_value_adds(self, planted, fitted, recommender):
        """Of a value that items have alone, as years are: their contribution beyond the average."""
        outputs = recommender.profile(USERS)
        names = _text(outputs["value_names"]).tolist()
        assert names[: len(YEARS)] == [f"year={year}" for year in YEARS]
        parts = fitted.model.split_scores(planted.interactions.known)[:, 0]
        affinities = np.asarray(outputs["value_affinities"])[:, : len(YEARS)]
        labels = planted.catalogue.values["year"].matrix.toarray() > 0
        for value in range(len(YEARS)):
            expected = parts[:, labels[:, value]].mean(axis=1) - parts.mean(axis=1)
            np.testing.assert_allclose(affinities[:, value], expected, atol=1e-4)

    def test_who_likes_a_year_is_found_to(self, planted, recommender):
        """A user's most liked year is most often that with the largest excess in the history."""
        outputs = recommender.profile(USERS)
        count = len(YEARS)
        excess = (
            np.asarray(outputs["value_history_shares"])[:, :count]
            - np.asarray(outputs["value_catalogue_shares"])[:count]
        )
        liked = np.asarray(outputs["value_affinities"])[:, :count].argmax(axis=1)
        assert (liked == excess.argmax(axis=1)).mean() > 0.7

    def test_expected_shares_count_the_history_and_five_items_drawn_from_the_scores(
        self, planted, fitted, recommender
    ):
        outputs = recommender.profile(USERS)
        known = planted.interactions.known
        scores = np.where(known.toarray() > 0, -np.inf, fitted.model.compute_scores(known))
        chance = np.exp(scores - scores.max(axis=1, keepdims=True))
        items = known.toarray() + 5 * chance / chance.sum(axis=1, keepdims=True)
        offset = 0
        for name in CHUNKS[:3]:
            labels = planted.catalogue.values[name].matrix.toarray() > 0
            expected = (items @ labels) / (items @ labels.any(axis=1))[:, None]
            part = slice(offset, offset + labels.shape[1])
            offset += labels.shape[1]
            np.testing.assert_allclose(
                np.asarray(outputs["value_expected_shares"])[:, part], expected, atol=1e-4
            )
            np.testing.assert_allclose(
                np.asarray(outputs["population_expected_shares"])[part], expected.mean(0), atol=1e-4
            )

    def test_a_history_in_the_request_is_described(self, planted, recommender):
        known = planted.interactions.known
        stored = [[f"item {i:02d}" for i in known[0].indices]]
        given, own = recommender.profile(["nobody"], stored), recommender.profile(USERS[:1])
        assert _text(given["source"]).tolist() == ["history"]
        for name in ("importance", "value_affinities", "value_history_shares"):
            np.testing.assert_allclose(given[name], own[name], atol=1e-5)

    def test_of_a_stranger_nothing_is_known_but_what_is_popular(self, recommender):
        outputs = recommender.profile(["nobody"])
        assert not np.any(outputs["value_affinities"])
        assert np.flatnonzero(outputs["importance"][0]).tolist() == [CHUNKS.index("residual")]

    def test_hold_weights_are_those_of_the_fit(self, fitted, recommender):
        np.testing.assert_array_equal(
            recommender.profile(USERS[:1])["hold_weights"], fitted.hold_weights
        )


class TestSimilarItems:
    def test_it_is_the_list_of_who_has_that_item_alone(self, recommender):
        similar = recommender.similar_items(["item 04", "item 09"], k=6)
        history = recommender.recommend(["a", "b"], k=6, history_ids=[["item 04"], ["item 09"]])
        assert set(similar) == {"item_ids", "scores", "contributions"}
        for name in similar:
            if name != "item_ids":
                np.testing.assert_allclose(similar[name], history[name], rtol=1e-5, atol=1e-6)
        assert _items(similar) == _items(history)

    def test_never_the_item_itself(self, recommender):
        outputs = recommender.similar_items(["item 04"], k=NUM_ITEMS)
        assert "item 04" not in _items(outputs)[0]
        assert len(_items(outputs)[0]) == NUM_ITEMS - 1

    def test_weights_steer_it(self, planted, recommender):
        only = {name: 0.0 for name in CHUNKS if name != "year"}
        outputs = recommender.similar_items(["item 04"], k=5, attribute_weights=only)
        years = planted.catalogue.values["year"].rows()
        own = years[4]
        assert [years[int(item[-2:])] for item in _items(outputs)[0]] == [own] * 5

    def test_an_unknown_item_is_quoted(self, recommender):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"(?s)not in the catalogue.*item 99"
        ):
            recommender.similar_items(["item 00", "item 99"])


def test_score_marks_unknown_candidates(recommender):
    candidates = [["item 00", "zz", ""], ["item 00", "a", "b"]]
    scores = recommender.score(["user 00", "nobody"], candidates)["scores"].numpy()
    assert np.isnan(scores).tolist() == [[False, True, True]] * 2
    assert scores[0, 0] != scores[1, 0]


class TestEvaluate:
    def test_ranks_are_numpys_on_tied_scores_too(self, planted, fitted, recommender):
        """Items without a query and the prior's equal counts make ties."""
        test = planted.test.tocoo()
        pairs = [(USERS[u], f"item {i:02d}") for u, i in zip(test.row, test.col, strict=True)]
        outputs = recommender.evaluate(_examples(pairs, [2] * len(pairs)))
        known = planted.interactions.known
        scores = np.where(known.toarray() > 0, -np.inf, fitted.model.compute_scores(known))
        own = scores[test.row, test.col][:, None]
        before = (scores[test.row] > own) | (
            (scores[test.row] == own) & (np.arange(NUM_ITEMS) < test.col[:, None])
        )
        expected = 1 + before.sum(axis=1)
        assert (outputs["rank"].numpy() == expected).mean() > 0.98, "float32 sums may swap twins"
        assert np.abs(outputs["rank"].numpy() - expected).max() <= 2
        assert (outputs["relevant_count"].numpy() == 2).all()

    def test_ties_go_to_the_earlier_item(self, planted, recommender):
        counts = np.asarray(planted.interactions.known.sum(axis=0)).ravel()
        assert len(set(counts)) < NUM_ITEMS
        pairs = [("nobody", f"item {i:02d}") for i in range(NUM_ITEMS)]
        ranks = recommender.evaluate(_examples(pairs))["rank"].numpy()
        order = np.argsort(-counts, kind="stable")
        np.testing.assert_array_equal(ranks[order], np.arange(1, NUM_ITEMS + 1))

    def test_ranks_are_places_in_the_recommended_list(self, recommender):
        listed = _items(recommender.recommend(USERS[:1], k=25))[0]
        pairs = [("user 00", item) for item in listed]
        ranks = recommender.evaluate(_examples(pairs))["rank"].numpy()
        assert ranks.tolist() == list(range(1, 26))

    def test_a_score_that_is_no_number_is_the_worst_rank(self, recommender, monkeypatch):
        """NaN compares false with everything: a diverged model would be perfect."""
        bad = np.full((1, NUM_ITEMS), np.nan, np.float32)
        monkeypatch.setattr(recommender._scorer, "compute_scores", lambda user: bad)
        assert recommender.evaluate(_examples([("user 00", "item 03")]))["rank"] == NUM_ITEMS + 1

    def test_an_unknown_item_comes_after_all_others(self, recommender):
        assert recommender.evaluate(_examples([("user 00", "zz")]))["rank"] == NUM_ITEMS + 1

    def test_slices_are_the_items_values_and_the_users_activity(self, planted, recommender):
        pairs = [("user 00", "item 00"), ("nobody", "item 06"), ("user 01", "zz")]
        slices = recommender.evaluate_slices(_examples(pairs))
        assert {name: tuple(value.shape) for name, value in slices.items()} == {
            "year": (3,),
            "genre": (3, 2),
            "brand": (3,),
            "item_warmth": (3,),
            "user_activity": (3,),
        }
        year = _text(slices["year"]).tolist()
        assert year == [YEARS[planted.year[0]], YEARS[planted.year[6]], MISSING]
        genres = planted.catalogue.values["genre"].rows()[0]
        assert set(_text(slices["genre"])[0]) == set(genres) <= set(GENRES)
        assert _text(slices["genre"])[1].tolist() == [MISSING, MISSING]
        assert _text(slices["brand"])[0] == MISSING
        assert _text(slices["brand"])[1] in BRANDS
        assert _text(slices["user_activity"])[1] == "none"
        counts = np.asarray(planted.interactions.known.sum(axis=0)).ravel()
        warmth = ["warm" if counts[item] else "cold" for item in (0, 6)]
        assert _text(slices["item_warmth"]).tolist() == [*warmth, "cold"]

    def test_rows_are_filled_and_activity_is_by_thirds(self):
        assert fill_rows([("a",), ()]).tolist() == [["a"], [MISSING]]
        names = name_activity(np.array([1, 1, 5, 6, 20, 30]))
        assert names.tolist() == ["light", "light", "medium", "medium", "heavy", "heavy"]


def test_serving_default_is_a_neutral_recommendation(recommender):
    outputs = recommender.serving_default(_examples([("user 02", "x"), ("nobody", "x")]))
    plain = recommender.recommend(["user 02", "nobody"])
    assert set(outputs) == set(plain)
    for name, value in outputs.items():
        if name != "contribution_names":
            np.testing.assert_array_equal(value, plain[name])
    assert _text(outputs["contribution_names"]).tolist() == [CHUNKS] * 2


class TestOtherArchitectures:
    """Without memory, and with an embedding per user; both in their own words."""

    @pytest.fixture(scope="class")
    def served(self, planted):
        config = make_config(
            losses={"intra": 0.0, "inter": 0.0, "value": 0.0},
            model={"memory_size": 0, "user_embedding": True},
            training={"epochs": 0},
        )
        result = fit(config, planted.catalogue, planted.interactions)
        table = result.model.user_tower.embedding
        table.assign(np.random.default_rng(0).standard_normal(table.shape))
        return result, Recommender(result)

    def test_there_is_no_memory_to_name_or_weigh(self, served):
        outputs = served[1].recommend(USERS, k=5, attribute_weights={"residual": 0.5})
        assert _text(outputs["contribution_names"]).tolist() == CHUNKS[:-1]
        np.testing.assert_allclose(
            np.sum(outputs["contributions"], axis=-1), outputs["scores"], atol=1e-4
        )

    def test_known_users_have_their_embedding(self, planted, served):
        result, recommender = served
        known, users = planted.interactions.known, np.arange(NUM_USERS)
        outputs = recommender.recommend(USERS, k=NUM_ITEMS, exclude_seen=False)
        np.testing.assert_allclose(
            _by_item(outputs, "scores"),
            result.model.compute_scores(known, users),
            rtol=1e-4,
            atol=1e-4,
        )
        stored = [f"item {i:02d}" for i in known[0].indices]
        # A history in the request stands for somebody else: no embedding, as for the unknown.
        options = {"k": NUM_ITEMS, "exclude_seen": False, "history_ids": [stored]}
        given = _by_item(recommender.recommend(["user 00"], **options), "scores")
        unknown = _by_item(recommender.recommend(["nobody"], **options), "scores")
        np.testing.assert_allclose(given, unknown, atol=1e-6)
        assert np.abs(given - _by_item(outputs, "scores")[:1]).max() > 0.1
