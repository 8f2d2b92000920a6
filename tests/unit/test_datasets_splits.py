"""The split rule: closed form, shares, and the evaluation protocol's own script."""

import pytest

from tfx_pipeline.datasets.splits import SPLITS, assign_split, compute_bucket

# First 8 hexadecimal digits of the md5, as `printf %s 196:242 | md5sum` prints them.
DIGESTS = [
    ("196", "242", "6e9c60a6"),
    ("1", "1", "d0bd571d"),
    ("u", "é", "21be3d64"),
]


@pytest.mark.parametrize(("user_id", "item_id", "digits"), DIGESTS)
def test_bucket_is_the_number_in_the_first_digits_of_the_md5(user_id, item_id, digits):
    assert compute_bucket(user_id, item_id) == int(digits, 16) % 10


def test_bucket_0_is_test_bucket_1_is_validation_and_the_rest_train():
    seen = {}
    for number in range(500):
        bucket = compute_bucket("user", str(number))
        seen.setdefault(bucket, set()).add(assign_split("user", str(number)))
    assert seen == {
        0: {"test"},
        1: {"validation"},
        **{bucket: {"train"} for bucket in range(2, 10)},
    }


def test_splits_have_the_shares_8_1_1():
    splits = [assign_split(str(user), str(item)) for user in range(100) for item in range(200)]
    shares = {split: splits.count(split) / len(splits) for split in SPLITS}
    assert shares == pytest.approx({"train": 0.8, "validation": 0.1, "test": 0.1}, abs=0.01)
