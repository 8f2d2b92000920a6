"""Sources that a person must get: which files, and where they can be had.

Nothing here downloads: the owners ask for an account, for consent to rules, or for a citation.
Nothing here imports Beam either, so that a missing file is reported at once.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from tfx_pipeline.datasets.errors import DataError


@dataclasses.dataclass(frozen=True)
class LocalSource:
    """Files in a folder that a person fills.

    Attributes:
        what: Name of the data set, for messages.
        files: What each file holds, by file name.
        where: Where the files can be had, a sentence.
        folders: What each folder holds, by name.
    """

    what: str
    files: Mapping[str, str]
    where: str
    folders: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def find(self, data_dir: str | os.PathLike | None) -> dict[str, pathlib.Path]:
        """Find the files and folders.

        Args:
            data_dir: The folder that holds them; None where none was given.

        Returns:
            Absolute path of each file and folder, by name.

        Raises:
            DataError: If no folder was given, or anything is missing from it; names everything that
                is missing and where it can be had.
        """
        wanted = {**self.files, **{f"{name}/": text for name, text in self.folders.items()}}
        listing = "".join(f"\n  - {name}: {text}" for name, text in wanted.items())
        if data_dir is None:
            raise DataError(
                f"{self.what} is not fetched, you get it from its owners. "
                f"Received: no data folder. Give one with --data DIR that holds{listing}\n"
                f"{self.where}"
            )
        folder = pathlib.Path(data_dir).expanduser().absolute()
        if not folder.is_dir():
            raise DataError(
                f"The data folder does not exist. Received: {folder}. Give the folder (--data DIR) "
                f"that holds{listing}\n{self.where}"
            )
        missing = [name for name in self.files if not (folder / name).is_file()]
        missing += [f"{name}/" for name in self.folders if not (folder / name).is_dir()]
        if missing:
            there = sorted(path.name for path in folder.iterdir())[:20]
            lacking = "".join(f"\n  - {name}: {wanted[name]}" for name in missing)
            raise DataError(
                f"{self.what} needs {', '.join(wanted)}. Received: {folder}, which holds "
                f"{', '.join(there) or 'nothing'}, and lacks{lacking}\n{self.where}"
            )
        return {name: folder / name for name in (*self.files, *self.folders)}


HM = LocalSource(
    what="H&M (`hm`)",
    files={
        "articles.csv": "the articles with names, descriptions, product types and colours",
        "transactions_train.csv": "the purchases with dates and prices",
    },
    folders={"images": "the photos, as NNN/ARTICLE.jpg, NNN being the first three digits"},
    where="They are the files of the Kaggle competition "
    "'h-and-m-personalized-fashion-recommendations' (Data tab; its rules must be accepted there).",
)
TOYS = LocalSource(
    what="Amazon Toys and Games (`toys`)",
    files={
        "train.csv": "the training pairs: itemID, userID, asin",
        "test.csv": "the test pairs, with the same columns",
        "items.csv": "asin, brand_id, category_id, category_path_ids and keywords of each item",
    },
    where="The split (train.csv, test.csv) comes from the repositories of the authors of DMRL and "
    "AD-DRL; items.csv is made from their item features (docs/data.md has its columns).",
)
GIFT_CARDS = LocalSource(
    what="Amazon Gift Cards (`gift-cards`)",
    files={
        "Gift_Cards_5.json.gz": "the reviews of the 5-core, one JSON object a line",
        "meta_Gift_Cards.json.gz": "the products, one JSON object a line",
    },
    where="They are in the Amazon review data of 2018 by Ni, Li and McAuley, category Gift Cards: "
    "'5-core' and 'metadata' (https://nijianmo.github.io/amazon/).",
)
LOCAL_SOURCES = {"hm": HM, "toys": TOYS, "gift_cards": GIFT_CARDS}


def validate_data_dir(dataset: str, data_dir: str | os.PathLike | None) -> None:
    """Validate that a data folder holds what a data set needs, where the data set needs one.

    Args:
        dataset: A key of `tfx_pipeline.datasets.DATASETS`.
        data_dir: The folder; None where none was given.

    Raises:
        DataError: As `LocalSource.find` does.
    """
    if dataset in LOCAL_SOURCES:
        LOCAL_SOURCES[dataset].find(data_dir)
