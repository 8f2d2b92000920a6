"""Projects: what `addrl.toml` may say, and how a mistake in it is worded."""

import pathlib

import pytest

from tfx_pipeline.configs import get_preset
from tfx_pipeline.projects import ProjectError, list_projects, load_project

SOUND = """
[data.interactions]
path = ["../buys.csv", "gs://bucket/more-*.parquet"]
user = "customer"
item = "product"
time = "when"
time_formats = "dd/mm/yyyy"

[data.items]
path = "goods.csv"
id = "sku"
title = "name"

[data.items.columns]
price = { kind = "number", source = "Price", decimal = "," }
brand = { kind = "category" }
tags = { kind = "list", separator = "|" }
words = { kind = "text" }

[data.images]
directory = "/photos"

[data.aggregates]
popularity = { function = "count" }

[data.split]
rule = "by_time"
validation_from = 2024-01-01
test_from = 1706745600

[attributes]
price = { column = "price", kind = "numeric", bins = 7 }
brand = { column = "brand" }
popularity = { column = "popularity", kind = "numeric" }

[modalities]
id = { encoder = "id" }
tags = { column = "tags", encoder = "bag" }
image = { column = "image", encoder = "hub", handle = "lite", preprocessing = "image" }

[start]
ease_lambda = 30
side_information = { brand = 5, tags = 2.5 }
blend = { ease = 1, item_knn = 0.5 }

[training]
keep_share = [0.2, 0.8]
refit = false

[gates]
min_recall = 0.1

[evaluation]
k = 10
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes the project `shop`, with one text replaced, and loads it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()

    def call(old="", new=""):
        assert old in SOUND
        (tmp_path / "shop" / "addrl.toml").write_text(SOUND.replace(old, new, 1))
        return load_project("shop")

    return call


def test_a_project_says_all_that_a_preset_says(write, tmp_path):
    config = write()
    tables = dict(config.dataset_options)["options"]
    assert (config.name, config.dataset, config.k) == ("shop", "tables", 10)
    assert tables.interactions.path == (str(tmp_path / "buys.csv"), "gs://bucket/more-*.parquet")
    assert tables.items.path == str(tmp_path / "shop" / "goods.csv")
    assert tables.interactions.time_formats == ("dd/mm/yyyy",)
    assert tables.split.cuts == (1704067200, 1706745600)
    assert tables.images.directory == "/photos"
    assert tables.items.columns["price"].decimal == ","
    assert config.model.attribute_names == ("price", "brand", "popularity")
    assert config.model.attributes[0].bins == 7
    assert config.model.start.ease_lambda == 30.0
    assert config.model.start.blend == (("ease", 1.0), ("item_knn", 0.5))
    assert config.model.start.side_information == (("brand", 5.0), ("tags", 2.5))
    assert config.model.training.keep_share == (0.2, 0.8) and not config.model.training.refit
    assert config.gates.min_recall == 0.1
    assert config.schema == str(tmp_path / "shop" / "schema")
    assert get_preset("shop") == config and list_projects() == ["shop"]


MISTAKES = [
    ("[data.items.columns]", "[data.items.colums]",
     "[data.items] has no key 'colums'. Did you mean 'columns'?"),
    ("[gates]", "[gate]", "the file has no key 'gate'. Did you mean 'gates'?"),
    ("bins = 7", "bin = 7",
     "[attributes.price] has no key 'bin'. Did you mean 'bins'? Received: 7. It may have: "
     "column, kind, bins, max_values, label."),
    ("bins = 7", 'bins = "many"',
     "attributes.price.bins must be a whole number. Received: 'many'. Change the line."),
    ("bins = 7", "bins = 1", "attribute 'price'.bins must be a whole number, at least 2"),
    ("ease_lambda = 30", "auxiliary_weight = 0.5",
     "start.auxiliary_weight: [data] keeps no low ratings for it to count. Received: 0.5. Set "),
    ("k = 10", "report = 3", "evaluation.report must be true or false. Received: 3."),
    ("k = 10", "k = true", "evaluation.k must be a whole number. Received: True."),
    ("refit = false", "refit = 1", "training.refit must be true or false. Received: 1."),
    ("[0.2, 0.8]", "[0.2]", "training.keep_share must be a list of 2 numbers. Received: [0.2]."),
    ("tags = 2.5", 'tags = "x"', "start.side_information.tags must be a number. Received: 'x'."),
    ("{ ease = 1, item_knn = 0.5 }", "3",
     "start.blend must be weights by name, such as { brand = 5.0 }. Received: 3."),
    ("tags = 2.5", "tag = 2.5", "start.side_information must name attributes or content modal"),
    ('time_formats = "dd/mm/yyyy"', "time_formats = [1]",
     'data.interactions.time_formats must be a list such as ["a", "b"]. Received: [1].'),
    ('user = "customer"', "", "[data.interactions] must have the key 'user'. Received: 'path"),
    ('column = "brand"', 'column = "brnd"',
     "attributes.brand.column: [data] has no such column. Did you mean 'brand'? Received: 'brnd'. "
     "It has: title, price, brand, tags, words, image, popularity. Add a line to "
     "[data.items.columns], and a feature to shop/schema/items.pbtxt."),
    ('column = "brand"', 'column = "price"',
     "attributes.brand.column: 'categorical' takes a column of one text an item or a list of texts "
     "or whole numbers, and this one has numbers. Received: 'price'."),
    ('column = "tags", encoder = "bag"', 'column = "words", encoder = "bag"',
     "modalities.tags.column: 'bag' takes a column of a list of texts"),
    ('encoder = "id"', 'encoder = "ids"', "modality 'id'.encoder must be one of id, text, bag"),
    ('rule = "by_time"', 'rule = "random"', "belong to the rule 'by_time'"),
    ("k = 10", "k = 10 11", "this is not TOML (Expected newline"),
    ('brand = { column = "brand" }', "brand = 3",
     "attributes.brand must be a section. Received: 3. Begin it with a line [attributes.brand]."),
    ("", "recipe = 3\n", 'recipe must be a text in "quotes". Received: 3.'),
    ("", 'recipe = "papr"\n', "config.recipe must be one of construction, paper. Received: 'papr'"),
    ("", 'recipe = "paper"\n', "The paper's recipe has no memory: set model.memory_size to 0."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[m[2][:40] for m in MISTAKES])
def test_a_mistake_names_file_key_and_value(write, old, new, message):
    with pytest.raises(ProjectError) as error:
        write(old, new)
    assert str(error.value).startswith("shop/addrl.toml: ")
    assert message in str(error.value)


def test_what_is_missing_as_a_whole_is_named(write, tmp_path):
    (tmp_path / "shop" / "addrl.toml").write_text("[start]\nease_lambda = 3.0\n")
    with pytest.raises(ProjectError, match=r"there is no section \[data\]. Received: 'start'"):
        load_project("shop")
    with pytest.raises(ProjectError, match="cannot be read"):
        load_project("nothing")


@pytest.mark.parametrize("line", [", bins = 7", "[gates]\nmin_recall = 0.1", 'title = "name"'])
def test_what_has_a_default_may_be_deleted(write, line):
    assert write(line, "")


def test_the_command_line_knows_projects(write, capsys):
    from tfx_pipeline import cli
    from tfx_pipeline.commands.parser import preset_name

    write()
    assert preset_name("shop") == preset_name("shop/") == "shop"
    assert cli.main(["presets"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("shop"))
    assert "price (numeric), brand (categorical)" in line
    assert cli.main(["run", "shp"]) == 2
    assert "Did you mean 'shop'?" in capsys.readouterr().err
    pathlib.Path("shop/addrl.toml").write_text("[data")
    assert cli.main(["presets"]) == 0
    captured = capsys.readouterr()
    assert "shop/addrl.toml: this is not TOML" in captured.err and "movielens" in captured.out
    assert cli.main(["run", "shop"]) == 1
    assert "shop/addrl.toml: this is not TOML" in capsys.readouterr().err
