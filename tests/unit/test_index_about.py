"""What a version says about itself, and what follows from it for status and lineage."""

import pytest

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.index.about import (
    FOLDER,
    About,
    Update,
    find_about,
    find_statistics,
    is_in_service,
    load_about,
    load_titles,
    write_about,
    write_titles,
)

ABOUT = About(
    preset="p",
    dataset="planted",
    columns={"genres": "strings"},
    used={"genre": (0, 2, 5)},
    encoders={"photo": "f" * 32},
    updates=(Update(3, ("é", "b")), Update(4, ("c",))),
)


def test_it_comes_back_as_it_was_written(tmp_path):
    write_about(ABOUT, tmp_path)
    assert load_about(tmp_path) == ABOUT
    assert ABOUT.added == ("é", "b", "c")
    write_titles({"é": "Été"}, tmp_path)
    assert load_titles(tmp_path) == {"é": "Été"}


def test_a_version_without_it_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"No such file.*Train and push it again with `addrl run`"):
        load_about(tmp_path)
    assert find_about(tmp_path) is None and load_titles(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "Expecting"), ("[]", "damaged"), ('{"format": 9}', "format 9, expected 1"),
     ('{"format": 1}', "damaged")],
)  # fmt: skip
def test_a_damaged_one_is_named(tmp_path, text, reason):
    path = tmp_path / FOLDER / "about.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DataError, match=f"about.json.*{reason}"):
        load_about(tmp_path)
    assert find_about(tmp_path) is None


def test_a_model_serves_by_its_own_version_or_by_one_that_grew_out_of_it(tmp_path):
    for version in ("3", "5"):
        (tmp_path / version).mkdir()
    write_about(ABOUT, tmp_path / "5")
    served = {version: is_in_service(tmp_path / version) for version in ("2", "3", "4", "5")}
    # 4 was removed; 5 is an update of 4, which was one of 3.
    assert served == {"2": False, "3": True, "4": True, "5": True}
    (tmp_path / "3").rmdir()
    assert is_in_service(tmp_path / "3")
    assert not is_in_service("") and not is_in_service(tmp_path / "none" / "3")


def test_statistics_are_found_by_table_or_not_at_all(tmp_path):
    assert find_statistics(tmp_path) == {}
    folder = tmp_path / FOLDER / "statistics"
    folder.mkdir(parents=True)
    for table in ("items", "interactions"):
        (folder / f"{table}.pb").write_bytes(b"")
    assert find_statistics(tmp_path) == {
        "interactions": folder / "interactions.pb",
        "items": folder / "items.pb",
    }
