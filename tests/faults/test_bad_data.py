"""Bad input to the adapters: each fault gives one clear `DataError` and leaves no output behind."""

import os
import subprocess
import sys

import pytest

from tfx_pipeline.datasets import DataError, make_dataset

FILES = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    + "".join(f"{user}\t{item}\t5\t100\n" for user in range(30) for item in (1, 2)),
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tOne\t1990\tDrama\n2\tTwo\t1991\tComedy\n",
    "ml-100k.kg": "head_id:token\trelation_id:token\ttail_id:token\nm.1\tfilm.film.actor\tm.2\n",
    "ml-100k.link": "item_id:token\tentity_id:token\n1\tm.1\n",
}


@pytest.fixture
def data_dir(tmp_path):
    """A folder with four sound source files."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def get_error(data_dir, tmp_path):
    """A function that runs the adapter and returns the message of its error."""

    def run():
        output = tmp_path / "out"
        with pytest.raises(DataError) as error:
            make_dataset("movielens").write(data_dir, tmp_path / "cache", output)
        assert not output.exists()
        assert not list(tmp_path.glob(".out.partial-*"))
        return str(error.value)

    return run


def test_sound_files_are_accepted(data_dir, tmp_path):
    assert make_dataset("movielens").write(data_dir, tmp_path / "cache", tmp_path / "out")


@pytest.mark.parametrize("name", ["movielens-1m", "", "MovieLens"])
def test_unknown_data_set_lists_the_names(name):
    with pytest.raises(ValueError, match=f"Received: '{name}'.*movielens, planted"):
        make_dataset(name)


def test_missing_files_are_listed(data_dir, get_error):
    (data_dir / "ml-100k.kg").unlink()
    (data_dir / "ml-100k.link").unlink()
    message = get_error()
    assert "2 of them are missing: ml-100k.kg, ml-100k.link" in message
    assert "holds ml-100k.inter, ml-100k.item" in message


@pytest.mark.parametrize("name", sorted(FILES))
def test_wrong_header_names_the_file_and_what_was_expected(data_dir, get_error, name):
    (data_dir / name).write_text("user,item,rating\n1,1,5\n")
    message = get_error()
    assert f"{name}: the first line must name the columns" in message
    assert "'user,item,rating'" in message


@pytest.mark.parametrize("name", sorted(FILES))
def test_empty_file_is_named(data_dir, get_error, name):
    (data_dir / name).write_bytes(b"")
    assert f"{name}: the file is empty" in get_error()


@pytest.mark.parametrize("name", sorted(FILES))
def test_file_cut_within_a_row_names_the_line(data_dir, get_error, name):
    text = FILES[name].rstrip("\n")
    (data_dir / name).write_text(text[: text.rindex("\t")])
    line = text.count("\n") + 1
    assert f"{name}, line {line}: " in get_error()


@pytest.mark.parametrize("name", sorted(FILES))
def test_bytes_that_are_not_utf8_name_the_line(data_dir, get_error, name):
    (data_dir / name).write_bytes(FILES[name].encode() + b"1\tMis\xe9rables\t5\t1\n")
    line = FILES[name].count("\n") + 1
    assert f"{name}, line {line}: not UTF-8 (byte 6 of the line)" in get_error()


@pytest.mark.parametrize("rating", ["good", "9", "", "nan"])
def test_malformed_rating_names_file_line_and_value(data_dir, get_error, rating):
    with open(data_dir / "ml-100k.inter", "a") as file:
        file.write(f"1\t1\t{rating}\t100\n")
    message = get_error()
    assert "ml-100k.inter, line 62: the rating is not" in message
    assert f"Received: {rating!r}" in message


def test_split_that_filtering_empties_is_named(data_dir, get_error):
    low = FILES["ml-100k.inter"].replace("\t5\t", "\t2\t")
    (data_dir / "ml-100k.inter").write_text(low)
    message = get_error()
    for split in ("train", "validation", "test"):
        assert f"interactions/{split}/*.parquet: no rows" in message


def test_items_that_occur_twice_are_named(data_dir, get_error):
    with open(data_dir / "ml-100k.item", "a") as file:
        file.write("2\tTwo again\t1991\tComedy\n")
    assert "1 item ids occur more than once. Received: 2." in get_error()


def test_ratings_of_items_that_are_not_in_the_catalogue_are_counted(data_dir, get_error):
    lines = FILES["ml-100k.item"].splitlines()
    (data_dir / "ml-100k.item").write_text("\n".join(lines[:2]) + "\n")
    message = get_error()
    assert "rows name an item that is not in the items table. Received: 2." in message


def test_without_network_and_cache_the_adapter_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(DataError) as error:
        make_dataset("movielens").write(None, tmp_path / "cache", tmp_path / "out")
    assert "ml-100k.inter" in str(error.value)
    assert "--data DIR" in str(error.value)


def test_unknown_name_is_answered_without_importing_beam():
    """A command line must answer a typing mistake at once."""
    code = (
        "import sys; from tfx_pipeline.datasets import DATASETS, make_dataset\n"
        "try: make_dataset('x')\n"
        "except ValueError: print(sorted({'apache_beam', 'pyarrow'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"
