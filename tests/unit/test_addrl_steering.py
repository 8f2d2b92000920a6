"""Wanted and required values in the graph, against the planted truth."""

import numpy as np
import pytest
import tensorflow as tf
from addrl_data import BRANDS, GENRES, NUM_ITEMS, YEARS, make_config

from addrl_keras.steering import AttributeSteering, make_multi_hot, make_table


@pytest.fixture(scope="module")
def distributions(planted):
    names = make_config().attribute_names
    return [planted.catalogue.values[name].distribution().toarray() for name in names]


@pytest.fixture(scope="module")
def steering(planted, distributions):
    return AttributeSteering(make_config(), planted.catalogue, distributions)


def _known(planted, name):
    return planted.catalogue.values[name].matrix.toarray() > 0


def test_a_multi_hot_ignores_padding_and_repetition():
    hot = make_multi_hot(tf.constant([[0, 2, 2, -1], [-1, -1, -1, -1]], tf.int64), 3)
    assert hot.numpy().tolist() == [[1, 0, 1], [0, 0, 0]]
    assert make_multi_hot(tf.zeros((2, 0), tf.int64), 3).numpy().tolist() == [[0] * 3] * 2


def test_a_table_knows_its_keys_alone():
    table = make_table(("b", "a"))
    assert table.lookup(tf.constant(["a", "b", "", "c"])).numpy().tolist() == [1, 0, -1, -1]


def test_requests_are_parsed_into_values(steering):
    requests = tf.constant([["genre=comedy", "", "year=<1980"], ["brand=brand 03", "", ""]])
    hot = steering.parse("attribute_targets", requests).numpy()
    assert hot.shape == (2, len(YEARS) + len(GENRES) + len(BRANDS))
    assert np.flatnonzero(hot[0]).tolist() == [0, 3 + 1]
    assert np.flatnonzero(hot[1]).tolist() == [3 + 4 + 3]


@pytest.mark.parametrize("bad", ["genre=Comedy", "colour=red", "genre", "=", "comedy", "genre="])
def test_an_unknown_request_is_quoted_with_what_there_is(steering, bad):
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        steering.parse("attribute_filters", tf.constant([["genre=drama", bad]]))
    text = str(error.value)
    assert "attribute_filters has an unknown attribute or value" in text
    assert "year, genre, brand" in text
    assert bad in text.split("Received:")[-1]


def test_a_filter_asks_for_any_value_of_each_attribute(planted, steering):
    year, genre = _known(planted, "year"), _known(planted, "genre")
    required = steering.parse(
        "attribute_filters",
        tf.constant([["genre=comedy", "genre=horror", "year=>=2000"], ["", "", ""]]),
    )
    allowed = steering.compute_allowed(required).numpy()
    np.testing.assert_array_equal(allowed[0], (genre[:, 1] | genre[:, 3]) & year[:, 2])
    assert allowed[1].all()


def test_items_of_unknown_value_pass_no_filter_on_it(planted, distributions):
    predicted = [part.copy() for part in distributions]
    predicted[1][6] = [0, 0, 1, 0]
    steering = AttributeSteering(make_config(), planted.catalogue, predicted)
    required = steering.parse("attribute_filters", tf.constant([["genre=drama"]]))
    assert not steering.compute_allowed(required)[0, 6]
    # A wish is softer: there a prediction counts.
    assert steering.compute_boost(required)[0, 6, 1] == 1.0


def test_a_boost_is_the_chance_of_the_wanted_values(planted, steering, distributions):
    wanted = steering.parse(
        "attribute_targets", tf.constant([["genre=action", "genre=drama", "brand=brand 00"]])
    )
    boost = steering.compute_boost(wanted).numpy()
    assert boost.shape == (1, NUM_ITEMS, 3)
    assert not boost[..., 0].any()
    # What is known is there or not, however many values an item has; else the prediction counts.
    for k, name, columns in ((1, "genre", [0, 2]), (2, "brand", [0])):
        labels = planted.catalogue.values[name].matrix.toarray() > 0
        known = labels.any(axis=1)
        found = boost[0, :, k]
        np.testing.assert_array_equal(found[known], labels[known][:, columns].any(axis=1))
        predicted = distributions[k][~known][:, columns].sum(axis=1)
        np.testing.assert_allclose(found[~known], predicted, rtol=1e-6)
    assert steering.count_wanted(wanted).numpy().tolist() == [2.0]
    assert steering.count_wanted(tf.zeros_like(wanted)).numpy().tolist() == [0.0]
