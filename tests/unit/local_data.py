"""What the tests of the data sets from a folder share: reading tables, and the protocol."""

import csv
import os
import pathlib
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tfx_pipeline.datasets.splits import SPLITS

_SHARED = pathlib.Path(__file__).resolve().parents[2].parent / "shared"
REAL_DATA = _SHARED / "data"
_PROTOCOL = pathlib.Path(os.environ.get("ADDRL_PROTOCOL") or _SHARED / "tools" / "protocol.py")


def load_items(directory):
    """Return the rows of the items table, by id."""
    rows = pq.read_table(directory / "items").to_pylist()
    assert len({row["item_id"] for row in rows}) == len(rows)
    return {row["item_id"]: row for row in rows}


def load_interactions(directory):
    """Return the rows of each split."""
    return {
        split: pq.read_table(directory / "interactions" / split).to_pylist() for split in SPLITS
    }


def compare_with_protocol(dataset, directory, items=None):
    """Assert that the interactions (of the given items) are split as the protocol splits them."""
    if not _PROTOCOL.is_file():
        pytest.skip("the protocol script is not here; name it in ADDRL_PROTOCOL")
    command = [sys.executable, str(_PROTOCOL), "split", dataset]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = list(csv.reader(done.stdout.splitlines()))[1:]
    expected = {tuple(row) for row in rows if items is None or row[1] in items}
    ours = [
        (row["user_id"], row["item_id"], split)
        for split, table in load_interactions(directory).items()
        for row in table
    ]
    assert len(ours) == len(expected)
    assert set(ours) == expected
