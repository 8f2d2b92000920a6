"""The local encoders against their reference implementations, on real texts and photos.

The references (PyTorch and transformers, with the weights of the same packages) run in an
environment of their own, about a gigabyte, which is made where it is missing.
"""

import json
import pathlib

import numpy as np
import pytest

from benchmarks import encoders
from tfx_pipeline.configs import DEFAULT_CACHE_DIR

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data" / "hm"
# What tokenizers disagree about, if they do.
STRANGE = [
    "a",
    "...",
    "naïve façade ÅNGSTRÖM ﬁne Ǆ İstanbul",
    "日本語のテキスト and 한국어",
    "zero\u200bwidth and\ttabs\u00a0and\x07control\ufffd",
    "👗 dress 👟 shoes ❤️",
    "[CLS] [SEP] [MASK] ##ing",
    "x" * 150,
    "word " * 600,
    "don't-stop_me(now)/please…",
    "price: 1.234,56€ ½ ①",
]


@pytest.fixture(scope="module")
def cache():
    return pathlib.Path(DEFAULT_CACHE_DIR).expanduser()


@pytest.fixture(scope="module")
def compared(cache, tmp_path_factory):
    """Texts, photos, and the references' vectors of them."""
    if not DATA.is_dir():
        pytest.skip("the data set hm is not there (../shared/data/hm)")
    texts = [*encoders.load_texts(DATA, encoders.NUM_COMPARED), *STRANGE]
    photos = encoders.list_photos(DATA, encoders.NUM_COMPARED)
    python = encoders.make_reference_python(cache / "encoder-references")
    folder = tmp_path_factory.mktemp("references")
    vectors = encoders.run_references(python, texts, photos, cache, folder)
    return {
        "minilm": (texts, vectors["minilm"]),
        "efficientnet-lite0": (photos, vectors["efficientnet-lite0"]),
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["minilm", "efficientnet-lite0"])
def test_vectors_agree_with_the_reference(name, compared, cache):
    values, reference = compared[name]
    assert len(values) >= 200 and len({row.tobytes() for row in reference}) > 190
    agreement = encoders.measure_agreement(name, values, reference, cache)
    assert agreement["smallest_cosine"] > encoders.MIN_COSINE, json.dumps(agreement)
    assert agreement["lengths_agree_within"] < 1e-3
    assert np.isfinite(agreement["largest_difference"])
