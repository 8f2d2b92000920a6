"""Comma-separated and JSON source files: quoting, and errors that name file, line and column."""

import gzip
import json

import pytest

from tfx_pipeline.datasets.csv_tables import load_csv_rows
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.json_lines import load_json_rows


def _load(tmp_path, content, columns=("a", "b")):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(load_csv_rows(path, columns))


def test_columns_are_picked_by_name_in_the_order_asked_for(tmp_path):
    rows = _load(tmp_path, "b,x,a\n2,0,1\n4,0,3\n")
    assert [row.values for row in rows] == [("1", "2"), ("3", "4")]


def test_quotes_commas_and_line_breaks_are_read_and_lines_counted(tmp_path):
    rows = _load(tmp_path, 'a,b\n"one, ""two""","line 2\nline 3"\n\nä,x\r\n')
    assert [row.values for row in rows] == [('one, "two"', "line 2\nline 3"), ("ä", "x")]
    assert [row.line for row in rows] == [2, 5]


def test_the_mark_of_a_spreadsheet_program_is_no_part_of_a_name(tmp_path):
    assert _load(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n")[0].values == ("1", "2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"table.csv: the file is empty. Received: 0 bytes. Replace it"),
        (b"a,c\n1,2\n", r"table.csv: .*a, b, and lacks b. Received: 'a,c'"),
        (b"a,b\n1,2\n1,2,3\n", r"line 3: 3 fields where the header has 2. Received: '1,2,3'. Rep"),
        (b"a,b\n1,2\n\xff,2\n", r"line 3: not UTF-8 \(byte 1 of the line\).*Convert"),
        (b'a,b\n1,2\n3,"4\n5,6\n', r"line 3: not a row.*Received: a row of 2 lines.*quotation"),
        (b'a,b\n"1"2,3\n', r"line 2: not a row.*quotation mark"),
        (b'"a,b\n1,2\n', r"line 1: not a header.*Replace it"),
    ],
)
def test_bad_csv_names_file_line_and_remedy(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        _load(tmp_path, content)


def test_the_error_of_a_value_names_everything(tmp_path):
    (row,) = _load(tmp_path, "a,b\n1,2\n")
    error = str(row.error("b", "not a colour", "2" * 100, "Paint it."))
    assert error.startswith(f"{tmp_path}/table.csv, line 2, column b: not a colour. Received: '222")
    assert error.endswith("2...'. Paint it.") and len(error) < len(str(tmp_path)) + 200


def _write_lines(tmp_path, *lines):
    path = tmp_path / "lines.json.gz"
    path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))
    return path


def test_json_lines_are_read_and_counted(tmp_path):
    path = _write_lines(tmp_path, b'{"a": 1}', b"", '{"a": "ä"}'.encode())
    assert [(row.line, row.values) for row in load_json_rows(path)] == [
        (1, {"a": 1}),
        (3, {"a": "ä"}),
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"the file is empty. Received: 0 lines"),
        ([b"{}", b"{'a': 1}"], r"line 2: not a JSON object \(.*Received: b\"\{'a': 1\}"),
        ([b"[1]"], r"line 1: not a JSON object. Received: b'\[1\]"),
        ([b'{"a": "\xff"}'], r"line 1: not a JSON object"),
    ],
)
def test_bad_json_names_file_and_line(tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        list(load_json_rows(_write_lines(tmp_path, *lines)))


def test_a_damaged_or_plain_file_says_so(tmp_path):
    path = _write_lines(tmp_path, *(json.dumps({"a": n}).encode() for n in range(9999)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"lines.json.gz: damaged.*Get the file again"):
        list(load_json_rows(path))
    path.write_bytes(b'{"a": 1}\n')
    with pytest.raises(DataError, match=r"not compressed with gzip.*Received: 0 sound lines"):
        list(load_json_rows(path))
