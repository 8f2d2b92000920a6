"""From two tables to explained, steerable recommendations, without a pipeline or a server.

    python examples/notebook_free_quickstart.py [FOLDER]

It takes under a minute, most of it TensorFlow's own start. FOLDER receives a SavedModel that
TensorFlow Serving can serve; by default nothing is kept.
"""

import sys
import tempfile

import numpy as np
import pandas as pd

import addrl_keras as ad


def make_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Makes 60 films and the likes of 80 people who each like one genre and one decade."""
    rng = np.random.default_rng(0)
    items = pd.DataFrame({"item_id": [f"film {i:02d}" for i in range(60)]})
    items["genre"] = rng.choice(["comedy", "drama", "horror"], len(items))
    items["decade"] = rng.choice(["1980s", "1990s", "2000s"], len(items))
    likes = []
    for user in range(80):
        taste = rng.choice(items.genre.unique()), rng.choice(items.decade.unique())
        score = 2.0 * (items.genre == taste[0]) + 2.0 * (items.decade == taste[1])
        chosen = (score + rng.gumbel(size=len(items))).nlargest(10).index
        likes += [(f"user {user:02d}", items.item_id[i]) for i in chosen]
    return items, pd.DataFrame(likes, columns=["user_id", "item_id"])


def main(folder: str) -> None:
    """Fits, recommends, explains, steers and exports."""
    items, likes = make_tables()
    attributes = (ad.Attribute("genre", "genre"), ad.Attribute("decade", "decade"))
    config = ad.Config(
        attributes=attributes,
        modalities=(ad.Modality("id", encoder="id"),),
        model=ad.ModelConfig(residual_dim=8, memory_size=16),
        training=ad.TrainingConfig(epochs=2),
    )
    catalogue = ad.make_catalogue(config, items)
    interactions, test = ad.split_interactions(catalogue, likes)
    result = ad.fit(config, catalogue, interactions, progress=print)
    print(ad.evaluate(result, test))
    recommender = ad.Recommender(result)

    show("user 00", recommender.recommend(["user 00"], k=3))
    show(
        "genre does not matter",
        recommender.recommend(["user 00"], 3, attribute_weights={"genre": 0.0}),
    )
    show(
        "wants horror", recommender.recommend(["user 00"], 3, attribute_targets=[["genre=horror"]])
    )
    show("likes film 00", recommender.recommend(["somebody"], 3, history_ids=[["film 00"]]))
    best = recommender.recommend(["user 00"], 1)["item_ids"][:, 0]
    evidence = recommender.explain(["user 00"], item_id=best)["evidence_ids"].numpy()[0]
    print(f"\n{best.numpy()[0].decode()}, because of {', '.join(e.decode() for e in evidence)}")
    ad.write_saved_model(result, folder)
    print(f"written to {folder}")


def show(title: str, outputs: dict) -> None:
    """Prints a list with the contribution of every attribute."""
    names = [name.decode() for name in outputs["contribution_names"].numpy()]
    table = pd.DataFrame(outputs["contributions"].numpy()[0], columns=names).round(2)
    table.insert(0, "score", outputs["scores"].numpy()[0].round(2))
    values = outputs["attribute_values"].numpy()[0]
    table.insert(0, "values", [", ".join(v.decode() for v in row) for row in values])
    table.insert(0, "item", [item.decode() for item in outputs["item_ids"].numpy()[0]])
    print(f"\n{title}\n{table.to_string(index=False)}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(temporary)
