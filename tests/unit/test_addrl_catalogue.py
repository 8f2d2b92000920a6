"""The data a model is fitted on, and what is said about data that do not fit."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from addrl_data import NO_CONTENT, NO_TITLE, make_config

from addrl_keras.catalogue import (
    AttributeValues,
    Interactions,
    binarize,
    find_present,
    make_interactions,
    normalize_rows,
)


def _csr(rows):
    return scipy.sparse.csr_matrix(np.array(rows, np.float32))


def test_values_are_known_where_a_row_has_one_and_split_evenly():
    values = AttributeValues(("a", "b", "c"), _csr([[1, 0, 1], [0, 1, 0], [0, 0, 0]]))
    assert values.known.tolist() == [True, True, False]
    np.testing.assert_allclose(
        values.distribution().toarray(), [[0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]]
    )
    assert values.rows() == [("a", "c"), ("b",), ()]


def test_an_item_is_present_where_its_row_is_not_all_zeros_even_if_zeros_are_stored():
    stored = scipy.sparse.csr_matrix((np.float32([0, 2]), [0, 1], [0, 1, 2, 2]), (3, 2))
    assert find_present(stored).tolist() == [False, True, False]
    assert find_present(stored.toarray()).tolist() == [False, True, False]


def test_rows_are_normalised_and_empty_ones_stay_empty():
    matrix = _csr([[3, 4], [0, 0], [0, -2]])
    np.testing.assert_allclose(normalize_rows(matrix).toarray(), [[0.6, 0.8], [0, 0], [0, -1]])
    np.testing.assert_allclose(
        normalize_rows(matrix, order=1).toarray(), [[3 / 7, 4 / 7], [0, 0], [0, -1]], rtol=1e-6
    )
    assert matrix.toarray().tolist() == [[3, 4], [0, 0], [0, -2]]


def test_repeated_pairs_count_once():
    pairs = scipy.sparse.coo_matrix(([2.0, 5.0, 0.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    matrix = binarize(pairs)
    assert matrix.toarray().tolist() == [[0, 1], [0, 0]]
    assert matrix.nnz == 1


def test_pairs_become_matrices_and_unknown_items_are_counted():
    train = np.array(["v", "u", "u"]), np.array(["b", "a", "zz"])
    validation = np.array(["w"]), np.array(["c"])
    interactions, dropped = make_interactions(("a", "b", "c"), train, validation)
    assert interactions.user_ids == ("u", "v", "w")
    assert interactions.train.toarray().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert interactions.validation.toarray().tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert interactions.known.toarray().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert dropped == 1


def test_auxiliary_pairs_have_users_of_their_own_and_are_not_counted():
    train, validation = (np.array(["u"]), np.array(["a"])), (np.array(["v"]), np.array(["b"]))
    auxiliary = np.array(["z", "u", "u"]), np.array(["a", "c", "gone"])
    interactions, dropped = make_interactions(("a", "b", "c"), train, validation, auxiliary)
    assert dropped == 1 and interactions.user_ids == ("u", "v")
    assert interactions.auxiliary.toarray().tolist() == [[0, 0, 1], [1, 0, 0]]
    interactions.validate()
    narrow = dataclasses.replace(interactions, auxiliary=interactions.auxiliary[:, :2])
    with pytest.raises(ValueError, match=r"column for each of the 3 items.*shape \(2, 2\)"):
        narrow.validate()
    doubled = dataclasses.replace(interactions, auxiliary=2.0 * interactions.auxiliary)
    with pytest.raises(ValueError, match=r"0 or 1; .*Received: auxiliary with 2\.0"):
        doubled.validate()


def test_the_planted_data_have_what_the_tests_need(planted):
    planted.catalogue.validate(make_config())
    planted.interactions.validate(planted.catalogue)
    assert not planted.catalogue.features["title"][list(NO_TITLE)].nnz
    assert not any(feature[NO_CONTENT].nnz for feature in planted.catalogue.features.values())
    assert max(map(len, planted.catalogue.values["genre"].rows())) == 2
    assert not planted.interactions.known.multiply(planted.test).nnz


def _with_value(catalogue, name, **changes):
    values = {**catalogue.values, name: dataclasses.replace(catalogue.values[name], **changes)}
    return dataclasses.replace(catalogue, values=values)


def _spoil(catalogue, how):
    ids, features = catalogue.item_ids, dict(catalogue.features)
    genre = catalogue.values["genre"]
    nan = genre.matrix.copy()
    nan.data[0] = np.nan
    return {
        "empty": lambda: dataclasses.replace(catalogue, item_ids=()),
        "twice": lambda: dataclasses.replace(catalogue, item_ids=(ids[1], *ids[1:])),
        "padding": lambda: dataclasses.replace(catalogue, item_ids=("", *ids[1:])),
        "no genre": lambda: dataclasses.replace(catalogue, values={"year": genre}),
        "no title": lambda: dataclasses.replace(catalogue, features={"people": features["people"]}),
        "rows": lambda: _with_value(catalogue, "genre", matrix=genre.matrix[:-1]),
        "names": lambda: _with_value(catalogue, "genre", names=genre.names[:-1]),
        "same names": lambda: _with_value(catalogue, "genre", names=("x",) * len(genre.names)),
        "no values": lambda: _with_value(
            catalogue, "genre", names=(), matrix=scipy.sparse.csr_matrix((len(ids), 0))
        ),
        "nan": lambda: _with_value(catalogue, "genre", matrix=nan),
    }[how]()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "at least one item"),
        ("twice", "unique in the catalogue. Received: 'item 01' twice"),
        ("padding", "must not be empty.*Received: '' at position 0"),
        ("no genre", "lacks the attribute 'genre'. It has: "),
        ("no title", r"lacks the modality 'title'. It has: \['people'\]"),
        ("rows", r"attribute 'genre' must have one row per item, 40. Received: shape \(39, 4\)"),
        ("names", "attribute 'genre' must name each of its 4 values once. Received: 3 names"),
        ("same names", "Received: 4 names, 1 of them different"),
        ("no values", "attribute 'genre' needs at least one value; leave it out"),
        ("nan", "attribute 'genre' must be finite.*Received: nan for item 'item 00'"),
    ],
)
def test_a_spoilt_catalogue_is_refused(planted, how, message):
    with pytest.raises(ValueError, match=message):
        _spoil(planted.catalogue, how).validate(make_config())


def test_interactions_that_do_not_fit_are_refused(planted):
    users, train = ("u", "v"), _csr([[1, 0], [0, 1]])
    with pytest.raises(ValueError, match=r"Received: shapes \(2, 2\) and \(1, 2\)"):
        Interactions(users, train, train[:1]).validate()
    with pytest.raises(ValueError, match="a row for each of 1 users"):
        Interactions(("u",), train, train).validate()
    with pytest.raises(ValueError, match=r"User ids must be unique\. Received: 'u' twice"):
        Interactions(("u", "u"), train, train).validate()
    with pytest.raises(ValueError, match="no training interactions with items of the catalogue"):
        Interactions(users, scipy.sparse.csr_matrix((2, 2)), train).validate()
    with pytest.raises(ValueError, match=r"must be 0 or 1; .* Received: validation with 0\.5"):
        Interactions(users, train, 0.5 * train).validate()
    with pytest.raises(ValueError, match=r"each of the 40 items .*Received: shape \(2, 2\)"):
        Interactions(users, train, train).validate(planted.catalogue)


def test_a_pair_in_both_splits_stays_in_train_alone():
    train = np.array(["u", "u"]), np.array(["a", "b"])
    validation = np.array(["u", "u"]), np.array(["b", "c"])
    interactions, dropped = make_interactions(("a", "b", "c"), train, validation)
    assert dropped == 0
    assert interactions.train.toarray().tolist() == [[1, 1, 0]]
    assert interactions.validation.toarray().tolist() == [[0, 0, 1]]
    assert interactions.validation.nnz == 1
