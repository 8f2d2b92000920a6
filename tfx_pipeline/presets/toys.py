"""The preset `toys`: Amazon Toys and Games, with the split that the literature reports on."""

from addrl_keras.config import (
    Attribute,
    Config,
    Modality,
    ModelConfig,
    StartConfig,
    TrainingConfig,
)
from tfx_pipeline.configs import GateConfig, PipelineConfig


def toys() -> PipelineConfig:
    """Amazon Toys and Games, the authors' split: brand, category, popularity; keywords and shelves.

    Command: `addrl run toys --data DIR`. Expected on 2 cores: 10 minutes, from the cache a minute.
    Expected metric: Recall@20 .163, NDCG@20 .103 (EASE: .123, .081).
    """
    model = Config(
        attributes=(
            # 512 of 646 brands are those of 97 % of the items that have one.
            Attribute("brand", "brand", max_values=512),
            Attribute("category", "category"),
            Attribute("popularity", "popularity", kind="numeric", bins=5),
        ),
        modalities=(
            Modality("id", encoder="id"),
            Modality("words", "keywords", encoder="text"),
            Modality("shelves", "category_path", encoder="bag"),
        ),
        start=StartConfig(
            blend=(("ease", 1.0), ("spectral", 0.2)),
            ease_lambda=100.0,
            side_information=(("words", 4.0), ("brand", 2.5), ("shelves", 1.0)),
            spectral_rank=256,
        ),
        # A modality's chunk in 32 dimensions does not tell 513 brands apart.
        model=ModelConfig(chunk_dim=96, residual_dim=256, memory_size=256),
        # The closed form as it stands, as for `hm`.
        training=TrainingConfig(epochs=0),
    )
    return PipelineConfig(
        name="toys",
        dataset="toys",
        schema="toys",
        model=model,
        # Below EASE (.123, .081) there is nothing worth serving.
        gates=GateConfig(min_recall=0.150, min_ndcg=0.095),
    )
