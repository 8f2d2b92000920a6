"""Configuration: what is refused and how, JSON, and an import that costs nothing."""

import dataclasses
import json
import subprocess
import sys

import pytest
from addrl_data import make_config

import addrl_keras
from addrl_keras.config import (
    Attribute,
    Config,
    LossConfig,
    Modality,
    ModelConfig,
    StartConfig,
    TrainingConfig,
)

ID = Modality("id", encoder="id")


def test_the_package_and_a_configuration_import_neither_tensorflow_nor_numpy():
    code = (
        "import sys, addrl_keras as a;"
        "a.Config((a.Attribute('x', 'x'),), (a.Modality('id', encoder='id'),)).validate();"
        "heavy = {'tensorflow', 'keras', 'numpy', 'scipy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_public_name_is_there_and_no_other():
    for name in addrl_keras.__all__:
        assert getattr(addrl_keras, name) is not None
        assert name in dir(addrl_keras)
    with pytest.raises(AttributeError, match="no attribute 'Recomender'"):
        _ = addrl_keras.Recomender


def test_names_follow_the_configured_order():
    config = make_config()
    assert config.attribute_names == ("year", "genre", "brand")
    assert config.chunk_names == ("year", "genre", "brand", "residual", "memory")
    assert config.modality_names == ("id", "title", "people")
    assert [m.name for m in config.content_modalities] == ["title", "people"]
    assert config.columns == ("year", "genres", "brand", "title", "people")
    without = dataclasses.replace(config, model=ModelConfig(memory_size=0))
    assert without.chunk_names == ("year", "genre", "brand", "residual")


def test_a_configuration_survives_json():
    config = make_config(losses={"intra": 0.25}, training={"keep_share": (0.3, 0.6)})
    again = Config.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.training.keep_share == (0.3, 0.6)


def test_missing_parts_of_a_dict_are_the_defaults():
    data = {"attributes": [{"name": "x", "column": "x"}], "modalities": [{"name": "id"}]}
    data["modalities"][0]["encoder"] = "id"
    config = Config.from_dict(data)
    config.validate()
    assert config.training == TrainingConfig()
    assert config.start == StartConfig()


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_config().attributes = ()


def test_a_heading_is_the_label_or_else_the_name():
    assert Attribute("year", "y").heading == "year"
    assert Attribute("year", "y", label="Released").heading == "Released"


BAD_PARTS = [
    (Attribute("Year", "y"), r"attribute must match .* Received: 'Year'"),
    (Attribute("a b", "y"), "Received: 'a b'"),
    (Attribute("residual", "y"), "name of a chunk without an attribute .* Received: 'residual'"),
    (Attribute("user_activity", "y"), "or of a slice: .* Received: 'user_activity'"),
    (Attribute("year", "y", kind="number"), "kind must be one of numeric, categorical.*'number'"),
    (Attribute("year", "y", kind="numeric", bins=1), r"attribute 'year'.bins .*Received: 1$"),
    (Attribute("year", "y", max_values=0), "attribute 'year'.max_values .*Received: 0$"),
    (Modality("title", "t", encoder="bert"), "encoder must be one of id, text, bag.*'bert'"),
    (Modality("title", encoder="text"), "modality 'title' .*needs a column of the items table"),
    (Modality("title", "t", min_count=0), "modality 'title'.min_count .*Received: 0$"),
    (Modality("title", "t", max_tokens=0), "modality 'title'.max_tokens .*Received: 0$"),
    (StartConfig(kind="warm"), "start.kind must be one of closed_form, factored, random.*'warm'"),
    (StartConfig(ease_lambda=0.0), "start.ease_lambda .*Received: 0.0"),
    (StartConfig(affinity_ridge=0.0), "start.affinity_ridge .*Received: 0.0"),
    (StartConfig(auxiliary_weight=-1.0), "start.auxiliary_weight .*Received: -1.0"),
    (
        StartConfig(auxiliary_weight=0.5, blend=(("item_knn", 1.0),)),
        "start.auxiliary_weight acts in the Gram matrix of 'ease'.*Received: auxiliary_weight=0.5",
    ),
    (StartConfig(user_exponent=3.0), "start.user_exponent .*at most 2.0.*Received: 3.0"),
    (StartConfig(side_information=(("x", -1.0),)), r"side_information\['x'\] .*Received: -1.0"),
    (ModelConfig(value_dim=0), "model.value_dim .*Received: 0"),
    (ModelConfig(chunk_dim=0), "model.chunk_dim .*Received: 0"),
    (ModelConfig(residual_dim=0), "model.residual_dim .*Received: 0"),
    (ModelConfig(memory_size=-1), "model.memory_size .*Received: -1"),
    (ModelConfig(fusion="sum"), "model.fusion must be one of attention, uniform.*'sum'"),
    (ModelConfig(target_strength=float("nan")), "model.target_strength .*Received: nan"),
    (TrainingConfig(hold_users=-1), "training.hold_users .*Received: -1"),
    (LossConfig(intra=-0.1), "losses.intra .*Received: -0.1"),
    (LossConfig(value=float("inf")), "losses.value must be a finite number.*Received: inf"),
    (TrainingConfig(epochs=-1), "training.epochs .*Received: -1"),
    (TrainingConfig(batch_size=0), "training.batch_size .*Received: 0"),
    (TrainingConfig(patience=0), "training.patience .*Received: 0"),
    (TrainingConfig(learning_rate=float("nan")), "training.learning_rate .*Received: nan"),
    (TrainingConfig(content_held_out=0.6), r"content_held_out .*Received: 0.6"),
    (TrainingConfig(content_held_out=-0.1), r"content_held_out .*Received: -0.1"),
    (TrainingConfig(content_held_out=float("nan")), r"content_held_out .*Received: nan"),
    (TrainingConfig(content_patience=0), r"content_patience must be a whole .*Received: 0"),
    (TrainingConfig(content_patience=True), r"content_patience must be a whole .*Received: True"),
    (TrainingConfig(content_epochs=2.5), r"content_epochs must be a whole .*Received: 2.5"),
    (TrainingConfig(content_epochs=None), r"content_epochs must be a whole .*Received: None"),
    (TrainingConfig(learning_rate="1"), r"learning_rate must be a finite .*Received: '1'"),
    (TrainingConfig(keep_share=(0.9, 0.5)), r"keep_share .*Received: \(0.9, 0.5\)"),
    (TrainingConfig(keep_share=(0.5, 1.0)), r"keep_share .*Received: \(0.5, 1.0\)"),
]


@pytest.mark.parametrize(("part", "message"), BAD_PARTS)
def test_a_bad_part_is_refused_by_name_and_value(part, message):
    with pytest.raises(ValueError, match=message):
        part.validate()


GENRE = Attribute("genre", "genres")
BAD_WHOLES = [
    (Config((), (ID,)), "at least one attribute"),
    (Config((GENRE, GENRE), (ID,)), "must be unique. Received: 'genre' twice"),
    (Config((GENRE,), (ID, Modality("genre", "g"))), "must be unique. Received: 'genre' twice"),
    (Config((GENRE,), ()), r"Exactly one modality .*'id'. Received: \[\]"),
    (Config((GENRE,), (ID, Modality("key", encoder="id"))), "Exactly one modality .*'key'"),
    (
        Config((GENRE,), (ID,), start=StartConfig(side_information=(("text", 1.0),))),
        "start.side_information must name .*genre. Received: 'text'",
    ),
    (
        Config((GENRE,), (ID,), start=StartConfig(side_information=(("id", 1.0),))),
        "start.side_information must name .*Received: 'id'",
    ),
    (Config((GENRE,), (ID,), model=ModelConfig(chunk_dim=0)), "model.chunk_dim"),
]


@pytest.mark.parametrize(("config", "message"), BAD_WHOLES)
def test_parts_that_do_not_fit_together_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        config.validate()
