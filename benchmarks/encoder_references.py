"""The reference implementations of the local encoders, in an environment of their own.

    python encoder_references.py FOLDER

FOLDER has `texts.json` (texts), `photos.json` (paths), `minilm/` (the files of the wheel) and
`efficientnet.pth`; `texts.npy` and `photos.npy` are written beside them. It imports PyTorch,
transformers and efficientnet-lite-pytorch, and nothing of this project: `benchmarks/encoders.py`
makes the environment and runs it.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from transformers import AutoModel, AutoTokenizer

_BATCH = 20
_MAX_PIECES = 256


def encode_texts(texts: list[str], folder: pathlib.Path) -> np.ndarray:
    """Encodes as sentence-transformers does: mean of the tokens over the mask, then L2."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    vectors = []
    for start in range(0, len(texts), _BATCH):
        inputs = tokenizer(
            texts[start : start + _BATCH],
            padding=True,
            truncation=True,
            max_length=_MAX_PIECES,
            return_tensors="pt",
        )
        hidden = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        mean = (hidden * mask).sum(1) / mask.sum(1)
        vectors.append(torch.nn.functional.normalize(mean, dim=1).numpy())
    return np.concatenate(vectors)


def encode_photos(paths: list[str], weights: pathlib.Path) -> np.ndarray:
    """Encodes as the authors of the weights do: (x - 127) / 128, mean of the last layer."""
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights)).eval()
    vectors = []
    for start in range(0, len(paths), _BATCH):
        photos = [_load_photo(path) for path in paths[start : start + _BATCH]]
        inputs = torch.from_numpy(np.stack(photos).transpose(0, 3, 1, 2))
        vectors.append(model.extract_features(inputs).mean(dim=(2, 3)).numpy())
    return np.concatenate(vectors)


def _load_photo(path: str) -> np.ndarray:
    with Image.open(path) as photo:
        small = photo.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    return (np.asarray(small, np.float32) - 127.0) / 128.0


def main() -> None:
    """Encodes what the folder names."""
    folder = pathlib.Path(sys.argv[1])
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    photos = json.loads((folder / "photos.json").read_text(encoding="utf-8"))
    with torch.inference_mode():
        np.save(folder / "texts.npy", encode_texts(texts, folder / "minilm"))
        np.save(folder / "photos.npy", encode_photos(photos, folder / "efficientnet.pth"))


if __name__ == "__main__":
    main()
