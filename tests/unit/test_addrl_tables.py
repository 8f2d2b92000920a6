"""From tables to what `fit` takes; and the ten lines of the README, run as they stand."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import addrl_keras as ad

README = Path(__file__).parents[2] / "README.md"
ITEMS = {
    "item_id": ["a", "b", "c", "d"],
    "price": [1.5, 2.0, None, 9.0],
    "genre": [["drama", "war"], ["drama"], [], ["war"]],
    "brand": ["x", "x", "y", ""],
    "title": ["Red Dawn", "red sky", "", "Dawn"],
    "sound": [[1.0, 2.0], None, [3.0, 4.0], []],
}
CONFIG = ad.Config(
    attributes=(
        ad.Attribute("price", "price", kind="numeric", bins=2),
        ad.Attribute("genre", "genre"),
        ad.Attribute("brand", "brand", max_values=1),
    ),
    modalities=(
        ad.Modality("id", encoder="id"),
        ad.Modality("title", "title", encoder="text"),
        ad.Modality("sound", "sound", encoder="precomputed"),
    ),
)


@pytest.mark.parametrize("make", [dict, pd.DataFrame], ids=["dict", "pandas"])
def test_a_catalogue_out_of_a_table(make):
    catalogue = ad.make_catalogue(CONFIG, make(ITEMS))
    assert catalogue.values["price"].names == ("<=1.5", ">=2")
    assert catalogue.values["price"].rows() == [("<=1.5",), (">=2",), (), (">=2",)]
    assert catalogue.values["genre"].rows()[0] == ("drama", "war")
    assert catalogue.values["brand"].rows() == [("x",), ("x",), ("(other)",), ()]
    title = catalogue.features["title"].toarray()
    # "red" and "dawn" stand in two titles each, "sky" in one, which is too few.
    assert title.shape == (4, 2) and not title[2].any()
    np.testing.assert_allclose(title[3].max(), np.log(5 / 3) + 1, rtol=1e-6)
    np.testing.assert_allclose(title[0], title[0][::-1])
    assert catalogue.features["sound"].tolist() == [[1, 2], [0, 0], [3, 4], [0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item_id": ["a", "a", "c", "d"]}, "unique.*Received: 'a' twice"),
        ({"price": [1, 2, 3, "cheap"]}, "'price' must hold numbers.*'cheap'"),
        ({"sound": [[1.0], [1.0, 2.0], None, None]}, r"one length.*Received: lengths \[1, 2\]"),
    ],
)
def test_cells_that_cannot_be_what_they_should_be_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        ad.make_catalogue(CONFIG, {**ITEMS, **change})


NOTHING = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, ""]


@pytest.mark.parametrize("cell", NOTHING, ids=repr)
def test_a_missing_cell_has_no_value_and_a_missing_id_is_refused(cell):
    items = {**ITEMS, "price": [1.0, 2.0, cell, 3.0], "brand": ["x", cell, "y", "x"]}
    items["title"] = ["red dawn", cell, "red", "dawn"]
    catalogue = ad.make_catalogue(CONFIG, items)
    assert catalogue.values["price"].rows()[2] == ()
    assert catalogue.values["brand"].rows() == [("x",), (), ("(other)",), ("x",)]
    assert not catalogue.features["title"].toarray()[1].any()
    with pytest.raises(ValueError, match=r"id in the column 'item_id'; .* in row 2, and 1 more"):
        ad.make_catalogue(CONFIG, {**ITEMS, "item_id": ["a", "b", cell, cell]})
    likes = {"user_id": ["u", cell], "item_id": ["a", "b"]}
    with pytest.raises(ValueError, match=r"id in the column 'user_id'; .* in row 1, and 0 more"):
        ad.split_interactions(catalogue, likes)


def test_a_column_that_is_not_there_is_named():
    items = {name: column for name, column in ITEMS.items() if name != "brand"}
    with pytest.raises(ValueError, match=r"lacks the column 'brand'. It has: \['item_id'"):
        ad.make_catalogue(CONFIG, items)
    photo = ad.Modality("photo", "photo", encoder="hub", handle="h")
    config = ad.Config(CONFIG.attributes, (ad.Modality("id", encoder="id"), photo))
    with pytest.raises(ValueError, match="'photo' has the encoder 'hub'"):
        ad.make_catalogue(config, {**ITEMS, "photo": [""] * 4})


def test_interactions_are_split_once_and_for_all():
    catalogue = ad.make_catalogue(CONFIG, ITEMS)
    rng = np.random.default_rng(0)
    likes = {
        "user_id": [f"u{i}" for i in rng.integers(0, 300, 1000)],
        "item_id": [*rng.choice(["a", "b", "c", "d"], 990), *["nowhere"] * 10],
    }
    interactions, test = ad.split_interactions(catalogue, likes)
    parts = (interactions.train, interactions.validation, test)
    assert len({part.shape for part in parts}) == 1
    pairs = set(zip(likes["user_id"], likes["item_id"], strict=True))
    assert sum(part.nnz for part in parts) == len({p for p in pairs if p[1] != "nowhere"})
    assert sum(parts).max() == 1
    assert 0.7 < parts[0].nnz / sum(part.nnz for part in parts) < 0.9
    again, _ = ad.split_interactions(catalogue, {n: c[::-1] for n, c in likes.items()})
    assert (again.train != interactions.train).nnz == 0


def test_auxiliary_interactions_are_split_from_what_is_one_already():
    catalogue = ad.make_catalogue(CONFIG, ITEMS)
    likes = {"user_id": ["u"] * 4 + ["v"] * 4, "item_id": [*"abcd", *"abcd"]}
    views = {"user_id": ["w", "u", "w", "w"], "item_id": ["a", "b", "c", "nowhere"]}
    interactions, _ = ad.split_interactions(catalogue, likes, auxiliary=views)
    assert interactions.user_ids == ("u", "v")
    assert interactions.auxiliary.toarray().tolist() == [[1, 0, 1, 0]]
    with pytest.raises(ValueError, match="user_id"):
        ad.split_interactions(catalogue, likes, auxiliary={"item_id": ["a"]})


def test_the_ten_lines_of_the_readme(tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block.strip().splitlines()) <= 16
    rng = np.random.default_rng(0)
    films = pd.DataFrame({"item_id": [f"film {i:02d}" for i in range(60)]})
    films["genre"] = rng.choice(["comedy", "drama", "horror"], len(films))
    films["year"] = rng.integers(1950, 2010, len(films))
    films["title"] = "A " + films.genre + " of " + films.year.astype(str)
    users = rng.integers(0, 80, 900)
    taste = rng.integers(0, 3, 80)[users]
    names = np.array(["comedy", "drama", "horror"])
    same = [
        films.item_id[films.genre == names[t]].sample(1, random_state=i).item()
        for i, t in enumerate(taste)
    ]
    likes = pd.DataFrame({"user_id": [f"user {u:02d}" for u in users], "item_id": same})
    monkeypatch.chdir(tmp_path)
    films.to_csv("films.csv", index=False)
    likes.to_csv("likes.csv", index=False)
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "recall_at_20" in printed and "validation" in printed
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()
