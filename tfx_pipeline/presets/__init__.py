"""Presets: what can be run by name, one file each.

A preset is a function without arguments that returns a `PipelineConfig`; its docstring says the
command, the expected time and the expected metric. Nothing here imports TensorFlow or TFX.
"""

from collections.abc import Callable

from tfx_pipeline.configs import PipelineConfig
from tfx_pipeline.presets.gift_cards import gift_cards
from tfx_pipeline.presets.hm import hm
from tfx_pipeline.presets.movielens import movielens
from tfx_pipeline.presets.paper import hm_paper, movielens_paper, toys_paper
from tfx_pipeline.presets.planted import planted
from tfx_pipeline.presets.toys import toys

PRESETS: dict[str, Callable[[], PipelineConfig]] = {
    "gift-cards": gift_cards,
    "hm": hm,
    "hm-paper": hm_paper,
    "movielens": movielens,
    "movielens-paper": movielens_paper,
    "planted": planted,
    "toys": toys,
    "toys-paper": toys_paper,
}
