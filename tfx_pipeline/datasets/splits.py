"""The split of interactions into training, validation and test.

The rule looks at nothing but the two ids, so a new interaction never moves an old one to another
split, and every machine agrees without exchanging a file.
"""

import hashlib

SPLITS = ("train", "validation", "test")
# Beside them, where the data have it: weaker signs, such as ratings below the bar or views, which
# training may read. No pair of it is in another split; where time splits, it is as old as train.
AUXILIARY = "auxiliary"

NUM_BUCKETS = 10
_TEST_BUCKET = 0
_VALIDATION_BUCKET = 1


def list_splits(auxiliary: bool) -> tuple[str, ...]:
    """List the splits of the interactions, the auxiliary one last, if it is among them.

    Example:
        >>> list_splits(auxiliary=True)
        ('train', 'validation', 'test', 'auxiliary')
    """
    return (*SPLITS, AUXILIARY) if auxiliary else SPLITS


def compute_bucket(user_id: str, item_id: str) -> int:
    """Compute the bucket of an interaction: `int(md5("user:item")[:8 hex], 16) % 10`.

    Args:
        user_id: Id of the user, as in the source.
        item_id: Id of the item, as in the source.

    Returns:
        A number in 0..9, the same on every machine and for every Python version.

    Example:
        >>> compute_bucket("196", "242")
        8
    """
    # md5 spreads ids, it protects nothing; hosts in FIPS mode refuse it without the flag.
    digest = hashlib.md5(f"{user_id}:{item_id}".encode(), usedforsecurity=False)
    return int(digest.hexdigest()[:8], 16) % NUM_BUCKETS


def assign_split(user_id: str, item_id: str) -> str:
    """Assign an interaction to a split: bucket 0 is test, bucket 1 validation, the rest train.

    Args:
        user_id: Id of the user, as in the source.
        item_id: Id of the item, as in the source.

    Returns:
        One of `SPLITS`.

    Example:
        >>> assign_split("196", "242")
        'train'
    """
    bucket = compute_bucket(user_id, item_id)
    if bucket == _TEST_BUCKET:
        return "test"
    if bucket == _VALIDATION_BUCKET:
        return "validation"
    return "train"
