"""Values of other people's tables: what they mean, and which are refused with which words."""

import datetime
import decimal

import pytest

from tfx_pipeline.datasets import table_values
from tfx_pipeline.datasets.table_times import parse_time
from tfx_pipeline.datasets.table_values import BadValueError

LONG = "x" * 300


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((7, "7", 7.0, "7.0", " 7 ", decimal.Decimal(7), b"7"), "7"),
        (("007", "007 "), "007"),
        (("naïve", "nai\u0308ve", "naïve".encode()), "naïve"),
        (("商品-1", " 商品-1"), "商品-1"),
        ((LONG,), LONG),
        (("1e5",), "1e5"),
        ((2**60, str(2**60)), str(2**60)),
        ((None, "", "  ", "NaN", "null", "\\N", float("nan")), None),
        ((decimal.Decimal("NaN"), decimal.Decimal("sNaN")), None),
        (("NA",), "NA"),
    ],
)
def test_ids_of_any_kind_are_one_text(values, expected):
    assert [table_values.parse_id(value) for value in values] == [expected] * len(values)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("1.23457E+12", "the id is in scientific notation, as spreadsheets write long numbers"),
        (0.5, "a number with a fraction is no id"),
        (float(2**60), "a floating-point number this large has lost digits"),
        (float("inf"), "infinity is no id"),
        (decimal.Decimal("-Infinity"), "infinity is no id"),
        ("y" * 1001, "an id may have 1000 characters and this one has 1001"),
        ("a\tb", "the id has control characters"),
        (b"\xff", "the id is not UTF-8"),
        ([1], "a list is no id"),
    ],
)
def test_what_can_be_no_id_is_refused_with_the_reason(value, what):
    with pytest.raises(BadValueError) as error:
        table_values.parse_id(value)
    assert error.value.what.startswith(what)
    assert error.value.remedy.endswith(".")


@pytest.mark.parametrize(
    ("text", "mark", "expected"),
    [
        ("12", ".", 12.0),
        ("$1,234.50", ".", 1234.5),
        ("1.234,50 €", ",", 1234.5),
        ("1\u00a0234,50 zł", ",", 1234.5),
        ("CHF 1'234.50", ".", 1234.5),
        ("₹1,23,456", ".", 123456.0),
        ("R$ 5", ".", 5.0),
        ("-$5.00", ".", -5.0),
        ("(5.00)", ".", -5.0),
        ("15 %", ".", 15.0),
        ("1,234", ".", 1234.0),
        ("1,234", ",", 1.234),
        (".5", ".", 0.5),
        ("1e3", ".", 1000.0),
        (0, ".", 0.0),
        ("-", ".", None),
        ("n/a", ".", None),
        (float("nan"), ".", None),
    ],
)
def test_amounts_are_read_in_whatever_way_they_are_written(text, mark, expected):
    assert table_values.parse_number(text, mark) == expected


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("call us", 'set unreadable = "missing"'),
        ("$5 - $10", 'set unreadable = "missing"'),
        ("inf", 'set unreadable = "missing"'),
        ("12,50", 'set decimal = ","'),
        ("1,2,3", 'set decimal = ","'),
        (float("inf"), "Repair it or leave it empty"),
    ],
)
def test_what_is_no_number_is_refused_with_the_remedy(text, remedy):
    with pytest.raises(BadValueError) as error:
        table_values.parse_number(text)
    assert remedy in error.value.remedy


MOMENT = int(datetime.datetime(2021, 2, 3, 4, 5, 6, tzinfo=datetime.UTC).timestamp())
DAY = MOMENT - (4 * 60 + 5) * 60 - 6


@pytest.mark.parametrize(
    ("value", "word", "expected"),
    [
        ("2021-02-03", "iso", DAY),
        ("2021-02-03 04:05:06", "iso", MOMENT),
        ("2021-02-03T04:05:06Z", "iso", MOMENT),
        ("2021-02-03T06:05:06+02:00", "iso", MOMENT),
        (MOMENT, "epoch_s", MOMENT),
        (f"{MOMENT}.0", "epoch_s", MOMENT),
        (str(MOMENT * 1000 + 7), "epoch_ms", MOMENT),
        (MOMENT * 1_000_000, "epoch_us", MOMENT),
        ("3/2/2021", "dd/mm/yyyy", DAY),
        ("03.02.2021 04:05:06", "dd/mm/yyyy", MOMENT),
        ("2/3/2021 4:05:06 AM", "mm/dd/yyyy", MOMENT),
        ("20210203", "yyyymmdd", DAY),
        ("17", "number", 17),
        (datetime.date(2021, 2, 3), "iso", DAY),
        ("", "iso", None),
    ],
)
def test_times_of_every_format_are_seconds(value, word, expected):
    assert parse_time(value, (word,)) == expected


@pytest.mark.parametrize(
    ("value", "formats"),
    [
        ("yesterday", ("iso",)),
        ("31/12/2021", ("mm/dd/yyyy",)),
        ("31/02/2021", ("dd/mm/yyyy",)),
        ("17", ("iso", "epoch_s")),
        ("03/02/2021", ("iso", "epoch_s")),
    ],
)
def test_a_time_in_no_known_format_is_refused(value, formats):
    with pytest.raises(BadValueError) as error:
        parse_time(value, formats)
    assert error.value.what == f"the time has none of the formats {', '.join(formats)}"


def test_one_column_may_have_times_in_three_formats():
    formats = ("iso", "epoch_s", "dd/mm/yyyy")
    values = ("2021-02-03", str(DAY), "03/02/2021")
    assert {parse_time(value, formats) for value in values} == {DAY}


def test_lists_and_vectors_in_one_text():
    assert table_values.parse_list('["a", ["b", null], "a"]', "json") == ["a", "b"]
    assert table_values.parse_list("red, blue ,,red", ",") == ["red", "blue"]
    assert table_values.parse_list(["a", None, "b"]) == ["a", "b"]
    assert table_values.parse_list(None) == []
    assert table_values.parse_vector("[1, 2.5]", "json") == [1.0, 2.5]
    assert table_values.parse_vector("1 2.5  3", " ") == [1.0, 2.5, 3.0]
    assert table_values.parse_vector("", " ") is None
    for text, separator in (("[1, x]", "json"), ("1 two", " ")):
        with pytest.raises(BadValueError):
            table_values.parse_vector(text, separator)
    with pytest.raises(BadValueError, match="no list in JSON"):
        table_values.parse_list("a, b", "json")


def test_texts_and_categories_that_say_nothing_are_none():
    for value in (None, "", "  ", "nan", float("nan"), "NULL"):
        assert table_values.parse_text(value) is None
        assert table_values.parse_category(value) is None
    assert table_values.parse_category("-") is None
    assert [table_values.parse_category(v) for v in (5, 5.0, "5.0", " 5 ", True, "a  b")] == [
        "5", "5", "5", "5", "true", "a b"
    ]  # fmt: skip
