"""The preset `gift-cards`: a small raw data set with gaps everywhere."""

from addrl_keras.config import Attribute, Config, Modality, ModelConfig, StartConfig
from tfx_pipeline.configs import GateConfig, PipelineConfig


def gift_cards() -> PipelineConfig:
    """Amazon Gift Cards with price, popularity, brand and sales rank; descriptions and reviews.

    Command: `addrl run gift-cards --data DIR`. Expected on 2 cores: 3 minutes, from the cache half
    a minute.
    Expected metric: Recall@20 .56, NDCG@20 .28 (most popular: .43, .19; 20 are a seventh of the
    catalogue). With 208 test users, differences below .03 are noise.
    """
    model = Config(
        attributes=(
            Attribute("price", "price", kind="numeric", bins=4),
            Attribute("popularity", "popularity", kind="numeric", bins=5),
            Attribute("brand", "brand", max_values=128),
            Attribute("rank", "rank", kind="numeric", bins=5, label="sales rank"),
        ),
        modalities=(
            Modality("id", encoder="id"),
            Modality("words", "text", encoder="text"),
            Modality("reviews", "reviews", encoder="text"),
            Modality(
                "text",
                "text",
                encoder="hub",
                handle="minilm",
                preprocessing="wordpiece",
                max_missing_share=0.2,
            ),
        ),
        start=StartConfig(side_information=(("words", 5.0),)),
        model=ModelConfig(residual_dim=64, memory_size=64),
    )
    return PipelineConfig(
        name="gift-cards",
        dataset="gift_cards",
        schema="gift_cards",
        model=model,
        # Well above most popular, and a standard error below what is reached.
        gates=GateConfig(min_recall=0.50, min_ndcg=0.24, max_drop=0.03),
    )
