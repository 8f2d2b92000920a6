"""`addrl init`: what it guesses, says and refuses."""

import datetime
import random
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfx_pipeline import cli
from tfx_pipeline.datasets import DataError
from tfx_pipeline.projects import load_project
from tfx_pipeline.proposals import Wishes, evidence, make_proposal, names
from tfx_pipeline.proposals.look import Cell, load_sample

DAY = datetime.date(2024, 1, 1)
COLOURS = ("red", "green", "blue", "black")


def make_buys(when=lambda number: (DAY + datetime.timedelta(days=number)).isoformat(), count=400):
    """Lines of purchases: 40 customers, each with a purchase every 40th day."""
    rows = ["customer,product,bought"]
    rows += [f"c{n % 40},{(7 * n) % 30},{when(n)}" for n in range(count)]
    return "\n".join(rows) + "\n"


def make_stars(first):
    """The same with stars, of which the first are given."""
    head, *rows = make_buys().splitlines()
    stars = [first, *(1 + n % 5 for n in range(1, len(rows)))]
    rows = [f"{row},{each}" for row, each in zip(rows, stars, strict=True)]
    return "\n".join([f"{head},stars", *rows]) + "\n"


def make_goods(count=32, **columns):
    """Lines of items, with more columns as functions of the number."""
    columns = {"sku": str, "name": lambda n: f"{COLOURS[n % 4]} thing {n}", **columns}
    rows = [";".join(columns)]
    rows += [";".join(str(make(n)) for make in columns.values()) for n in range(count)]
    return "\n".join(rows) + "\n"


@pytest.fixture
def propose(tmp_path, monkeypatch):
    """A function that writes two tables and returns the proposal."""
    monkeypatch.chdir(tmp_path)

    def call(buys=None, goods=None, images="", **wishes):
        (tmp_path / "buys.csv").write_text(buys or make_buys())
        (tmp_path / "goods.csv").write_text(goods or make_goods())
        return make_proposal(["buys.csv"], ["goods.csv"], images, Wishes(**wishes))

    return call


def get_note(proposal, topic):
    return next(note.text for note in proposal.notes if note.topic == topic)


def get_column(proposal, source):
    return next(each for each in proposal.columns if each.source == source)


def test_roles_are_found_by_name_and_by_shared_ids(propose):
    options = propose().options
    assert (options.interactions.user, options.interactions.item) == ("customer", "product")
    assert (options.items.id, options.items.title) == ("sku", "name")
    assert (options.interactions.time, options.interactions.time_formats) == ("bought", ("iso",))


def test_small_whole_numbers_as_ids_of_users_and_items_are_told_apart(propose):
    rows = "".join(f"{n % 25},{n % 20},{n % 5 + 1}\n" for n in range(300))
    goods = make_goods(30, rank_of_shelf=lambda n: n).replace("sku", "item_id")
    options = propose("user_id,item_id,rating\n" + rows, goods).options
    assert (options.interactions.user, options.interactions.item) == ("user_id", "item_id")
    assert options.items.id == "item_id"
    assert (options.interactions.rating, options.interactions.min_rating) == ("rating", 4.0)


def test_each_column_gets_a_use_or_a_reason(propose):
    generator = random.Random(0)
    proposal = propose(
        re.sub(r",(\d+),", r",item-\1,", make_buys()),
        goods=make_goods(
            sku=lambda n: f"item-{n}",
            Price=lambda n: f"$1,{n:03d}.50" if n else "ask",
            colour_name=lambda n: COLOURS[n % 4],
            colour_code=lambda n: 10 + n % 4,
            keywords=lambda n: f"{COLOURS[n % 4]}|{COLOURS[(n + 1) % 4]}",
            story=lambda n: " ".join(generator.choices(COLOURS, k=20)) + f" {n}",
            short=lambda n: f"made for {COLOURS[n % 4]} days {n}",
            vector=lambda n: f"[{n}, 1.5, 2, 0]",
            nothing=lambda n: "",
            same=lambda n: "EU",
            serial=lambda n: f"x{n}",
            picture=lambda n: f"https://example.org/{n}.jpg",
            total_sold=lambda n: n * 3,
            also_bought=lambda n: f"['item-{n + 1}', 'item-{n + 2}']",
            sentences=lambda n: (
                f"['a long sentence about number {n}', 'and it has two of them, both long']"
            ),
            pictures=lambda n: f"['https://example.org/{n}.jpg']",
            details=lambda n: f"{{'size': {n}}}",
            rarely=lambda n: n if n == 3 else "",
            brand=lambda n: "Acme" if n % 3 else f"Maker {n}",
            released=lambda n: f"2020-01-{n % 28 + 1:02d}",
            weight_g=lambda n: n * 10 if n % 2 else "",
        ),
    )
    kinds = {name: column.kind for name, column in proposal.options.items.columns.items()}
    assert kinds == {
        "price": "number",
        "colour_name": "category",
        "keywords": "list",
        "sentences": "text",
        "brand": "category",
        "story": "text",
        "short": "text",
        "vector": "vector",
        "weight_g": "integer",
    }
    assert get_column(proposal, "Price").column.unreadable == "missing"
    assert (
        "1 such as 'ask' (goods.csv, line 2) count as missing" in get_column(proposal, "Price").why
    )
    for source, why in {
        "colour_code": "says the same as 'colour_name'",
        "nothing": "no values at all",
        "same": "the same everywhere: 'EU'",
        "serial": "nearly every value is another",
        "picture": "photos must be files, given with --images",
        "also_bought": "lists of items; whoever made them looked at what people did",
        "pictures": "photos must be files",
        "details": "dictionaries",
        "rarely": "only 3.1% of the items have a value",
        "total_sold": "may know the test",
        "released": "times",
    }.items():
        assert why in get_column(proposal, source).why
    assert get_column(proposal, "weight_g").missing == 0.5
    encoders = {each.name: (each.encoder, each.handle) for each in proposal.modalities}
    assert encoders == {
        "id": ("id", ""),
        "title": ("text", ""),
        "keywords": ("bag", ""),
        "story": ("hub", "minilm"),
        "short": ("text", ""),
        "sentences": ("hub", "minilm"),
        "vector": ("precomputed", ""),
    }
    chosen = {each.name: (each.column, each.kind) for each in proposal.attributes}
    assert chosen["price"] == ("price", "numeric")
    assert chosen["colour"] == ("colour_name", "categorical")
    assert chosen["popularity"] == ("popularity", "numeric")
    assert ("keyword", "keywords") in [(each.name, each.column) for each in proposal.others]
    assert {"colour": 5.0, "title": 2.0}.items() <= dict(proposal.side_information).items()


def test_a_number_that_ranks_items_as_their_sales_do_is_left_out(propose):
    buys = "customer,product\n" + "".join(f"c{n},{i}\n" for i in range(30) for n in range(i + 1))
    proposal = propose(buys, make_goods(30, hidden=lambda n: 1000 + 2.5 * n))
    assert "may know the test" in get_column(proposal, "hidden").why


def test_without_encoders_long_texts_are_bags_of_words(propose):
    goods = make_goods(story=lambda n: " ".join(["word"] * 20 + [str(n)]))
    assert propose(goods=goods, encoders=False).modalities[-1].encoder == "text"


def test_photos_are_found_by_id_or_by_a_column(propose, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(30):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"x")
    proposal = propose(images="photos")
    assert proposal.options.images.match == ""
    image = proposal.modalities[-1]
    assert (image.handle, image.preprocessing) == ("efficientnet-lite0", "image")
    assert 30 / 32 + image.max_missing_share > 1
    for number in range(30):
        (tmp_path / "photos" / f"{number}.jpg").rename(tmp_path / "photos" / f"p-{number}.jpg")
    proposal = propose(goods=make_goods(file=lambda n: f"p-{n}.jpg"), images="photos")
    assert proposal.options.images.match == "file"
    with pytest.raises(DataError, match=r"no column of goods\.csv names the files"):
        propose(images="photos")


TIMES = [
    (lambda n: (DAY + datetime.timedelta(n)).strftime("%d/%m/%Y"), ("dd/mm/yyyy",), "day first, "),
    (lambda n: (DAY + datetime.timedelta(n)).strftime("%m/%d/%Y"), ("mm/dd/yyyy",), "month first"),
    (lambda n: (DAY + datetime.timedelta(n % 12)).strftime("%d.%m.%Y"), ("dd/mm/yyyy",), "dots"),
    (lambda n: 1_600_000_000 + 86_400 * n, ("epoch_s",), "epoch_s"),
    (lambda n: 1_600_000_000_000 + 86_400_000 * n, ("epoch_ms",), "epoch_ms"),
    (lambda n: (DAY + datetime.timedelta(n)).strftime("%Y%m%d"), ("yyyymmdd",), "yyyymmdd"),
    (
        lambda n: (DAY + datetime.timedelta(n)).strftime(("%Y-%m-%d", "%d/%m/%Y", "%s")[n % 3]),
        ("dd/mm/yyyy", "epoch_s", "iso"),
        "day first",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("when", "formats", "why"), TIMES, ids=[str(t[1]) + t[2] for t in TIMES])
def test_formats_of_times_are_found_by_evidence(propose, when, formats, why):
    proposal = propose(make_buys(when))
    assert tuple(sorted(proposal.options.interactions.time_formats)) == formats
    assert why in get_note(proposal, "time")


REFUSED = [
    (
        {"buys": make_buys(lambda n: f"0{n % 9 + 1}/0{n % 8 + 1}/2024")},
        "buys.csv, line 2, column 'bought': every date can be read with the day or with the month "
        "first. Received: '01/01/2024' and 399 more. Say which with --time-format dd/mm/yyyy or "
        "--time-format mm/dd/yyyy.",
    ),
    (
        {"buys": make_buys(lambda n: "13/04/2024" if n % 2 else "04/13/2024")},
        "buys.csv, line 2, column 'bought': day and month stand in both orders. Received: "
        "'04/13/2024', and '13/04/2024' in buys.csv, line 3. Write all dates as 2024-05-31.",
    ),
    (
        {"buys": make_buys(lambda n: "13/04/24")},
        "buys.csv, line 2, column 'bought': the years have two digits. Received: '13/04/24'.",
    ),
    (
        {"buys": make_buys(lambda n: "2024-01-01" if n else "soon")},
        "buys.csv, line 2, column 'bought': this is no time, and 399 others are. Received: 'soon'. "
        "Repair it or leave it empty, or use the column not at all with --no-time.",
    ),
    (
        {"buys": make_stars("good")},
        "buys.csv, line 2, column 'stars': this is no number, and 399 others are. Received: "
        "'good'. Repair it or leave it empty.",
    ),
    (
        {"buys": make_buys().replace("bought", "sort"), "split": "leave_last_out", "no_time": True},
        "--split: this rule needs times, and no column of the interactions is used as one. "
        "Received: 'leave_last_out'. Name the column with --time-column, or take --split random.",
    ),
    (
        {"goods": make_goods(price=lambda n: "1.234,50" if n else "1,234.50")},
        "goods.csv, line 3, column 'price': decimals are written in two ways. Received: "
        "'1.234,50', and '1,234.50' in goods.csv, line 2. Write all with one decimal mark.",
    ),
    (
        {"goods": make_goods(sku=lambda n: f"z{n}")},
        "No column of buys.csv has the ids of a column of goods.csv, so the tables do not belong "
        "together.",
    ),
    (
        {"goods": make_goods(sku=lambda n: f"{n:010d}")},
        "The ids in column 'product' of buys.csv and in column 'sku' of goods.csv differ in "
        "leading zeros. Received: '0' and '0000000000'. Export the column that lost them as text.",
    ),
    (
        {"buys": make_buys().replace("customer", "a").replace("bought", "b,c").replace("\n", ",x\n")
         .replace("b,c,x", "b,c")},
        "buys.csv: no column is plainly the user's id. Received: a, b, c. Name it with "
        "--user-column.",
    ),
    (
        {"user": "custmer"},
        "--user-column: buys.csv has no such column. Received: 'custmer'. Did you mean "
        "'customer'? It has: customer, product, bought.",
    ),
    (
        {"time": "customer"},
        "--time-column: most values of 'customer' are no times. Received: 'c0'.",
    ),
    ({"goods": "sku;name\n"}, "The items have no rows. Received: goods.csv."),
    ({"images": "no-photos"}, "The folder of the images does not exist or is empty."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), REFUSED, ids=[m[:50] for _, m in REFUSED])
def test_what_cannot_be_guessed_safely_is_refused_with_the_remedy(propose, settings, message):
    with pytest.raises(DataError) as error:
        propose(**settings)
    assert message in str(error.value)


def test_a_person_settles_what_no_value_tells(propose):
    buys = make_buys(lambda n: f"0{n % 9 + 1}/0{n % 8 + 1}/2024")
    proposal = propose(buys, time_format="dd/mm/yyyy")
    assert proposal.options.interactions.time_formats == ("dd/mm/yyyy",)
    assert propose(buys, no_time=True).options.interactions.time == ""


def test_a_format_that_the_times_do_not_have_is_refused(propose):
    buys = make_buys(lambda n: f"2024-01-{n % 9 + 1:02}")
    with pytest.raises(DataError) as error:
        propose(buys, time_format="dd/mm/yyyy")
    assert (
        "buys.csv, line 2, column 'bought': the time does not have the format of --time-format "
        "dd/mm/yyyy. Received: '2024-01-01'. It has the format iso; repair it, or leave "
        "--time-format out, and the formats are found."
    ) in str(error.value)


def test_one_column_cannot_hold_users_and_items(propose):
    item = propose().options.interactions.item
    with pytest.raises(DataError) as error:
        propose(user=item)
    assert str(error.value) == (
        "--user-column: 'product' is the only column of buys.csv with ids of the items, those of "
        "'sku', so it cannot hold the users. Received: 'product'. Name the users' column, out of "
        "customer, bought."
    )


SPLITS = [
    (make_buys(), "by_time", "as times are good"),
    (make_buys(lambda n: "2024-01-01"), "random", "all within 0 days"),
    (re.sub(r"(?m),[^,\n]*$", "", make_buys()), "random", "no time"),
    (
        # Everybody has one week of their own.
        make_buys(lambda n: (DAY + datetime.timedelta(7 * (n % 40) + n // 80)).isoformat()),
        "leave_last_out",
        "of the test users would have a history",
    ),
    (make_buys(lambda n: "" if n % 3 else "2024-01-01"), "random", "of the rows have no time"),
]  # fmt: skip


@pytest.mark.parametrize(("buys", "rule", "why"), SPLITS, ids=[f"{s[1]} {s[2]}" for s in SPLITS])
def test_the_split_is_what_the_times_allow(propose, buys, rule, why):
    proposal = propose(buys)
    assert proposal.options.split.rule == rule
    assert why in get_note(proposal, "split")


def test_repeats_gaps_and_unknown_items_are_counted_and_settled(propose):
    rows = make_buys() + "c1,7,2024-01-01\nc1,7,2024-01-02\n,7,2024-01-01\n"
    proposal = propose(rows + "c1,gone,2024-01-01\n", make_goods() + "3;another thing\n;nameless\n")
    tables = proposal.options
    assert (tables.interactions.missing, tables.interactions.unknown_items) == ("drop", "keep")
    assert (tables.items.missing, tables.items.duplicates) == ("drop", "last")
    assert "1 without user or item" in get_note(proposal, "rows")
    assert "0.2% of the interactions name an item that the items lack" in get_note(
        proposal, "unknown"
    )
    assert "the first counts" in get_note(proposal, "repeats")
    many = "".join(f"c1,gone{n},2024-01-01\n" for n in range(100))
    assert propose(make_buys() + many).options.interactions.unknown_items == "drop"


def test_a_large_table_is_sampled_evenly_and_by_whole_users(tmp_path):
    (tmp_path / "buys.csv").write_text(make_buys(count=4000))
    path = [str(tmp_path / "buys.csv")]
    sample = load_sample(path, "interactions", max_rows=1000)
    assert sample.num_rows == 4000 and 500 < len(sample.rows) <= 1000 and not sample.is_whole
    lines = [place.number for place, _ in sample.rows]
    assert lines[0] < 10 and lines[-1] > 3990
    sample = load_sample(path, "interactions", max_rows=1000, key="customer")
    users = [values[0] for _, values in sample.rows]
    assert len(sample.rows) <= 1000 and {users.count(user) for user in set(users)} == {100}


def test_files_of_one_table_must_have_the_same_columns(tmp_path):
    (tmp_path / "a.csv").write_text("id,price\n1,2\n")
    (tmp_path / "b.csv").write_text("id,prize\n1,2\n")
    with pytest.raises(DataError) as error:
        load_sample([str(tmp_path / "*.csv")], "items")
    assert "b.csv: the columns differ from those of" in str(error.value)
    assert "Received: price, prize in one of them only" in str(error.value)


def test_parquet_with_types_of_its_own(propose, tmp_path):
    moments = [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=6 * n) for n in range(400)]
    pq.write_table(
        pa.table(
            {
                "user_id": pa.array([n % 40 for n in range(400)], pa.int32()),
                "item_id": [float(7 * n % 30) for n in range(400)],
                "at": pa.array(moments, pa.timestamp("ns", "Europe/Paris")),
            }
        ),
        tmp_path / "buys.parquet",
    )
    pq.write_table(
        pa.table(
            {
                "item_id": [str(n) for n in range(30)],
                "brand": pa.array([COLOURS[n % 4] for n in range(30)]).dictionary_encode(),
                "tags": [[COLOURS[n % 4], COLOURS[n % 3]] for n in range(30)],
                "vector": pa.array([[float(n)] * 8 for n in range(30)], pa.list_(pa.float32(), 8)),
                "price": pa.array([n / 4 for n in range(30)], pa.float32()),
            }
        ),
        tmp_path / "goods.parquet",
    )
    proposal = make_proposal([str(tmp_path / "buys.parquet")], [str(tmp_path / "goods.parquet")])
    kinds = {name: column.kind for name, column in proposal.options.items.columns.items()}
    assert kinds == {"brand": "category", "tags": "list", "vector": "vector", "price": "number"}
    assert proposal.options.interactions.item == "item_id"
    assert proposal.options.split.rule == "by_time"


def test_tables_may_lie_on_any_file_system_of_beam(memory_files, tmp_path, monkeypatch):
    from tfx_pipeline.datasets import make_dataset

    monkeypatch.chdir(tmp_path)
    memory_files["memory://b/buys/1.csv"] = make_buys(count=200).encode()
    memory_files["memory://b/buys/2.csv"] = make_buys(count=400).encode()
    memory_files["memory://b/goods.csv"] = make_goods().encode()
    arguments = ["--interactions", "memory://b/buys/*.csv", "--items", "memory://b/goods.csv"]
    assert cli.main(["init", "remote", *arguments]) == 0
    config = load_project("remote")
    tables = dict(config.dataset_options)["options"]
    assert tables.interactions.path == "memory://b/buys/*.csv"
    make_dataset("tables", options=tables).write(None, tmp_path, tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "items").num_rows == 32


@pytest.fixture
def addrl(propose, tmp_path, capsys):
    """A function that runs the command in a folder with two tables."""
    propose()

    def call(*argv):
        code = cli.main(["init", *argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


TABLES = ("--interactions", "buys.csv", "--items", "goods.csv")


def test_init_writes_a_project_that_loads_and_says_why(addrl, tmp_path):
    code, out, _ = addrl("shop", *TABLES)
    assert code == 0
    assert "'product' of the interactions is 'sku' of the items: 100.0%" in out
    assert "wrote shop/schema/items.pbtxt, shop/schema/interactions.pbtxt, shop/addrl.toml" in out
    text = (tmp_path / "shop" / "addrl.toml").read_text()
    assert text.startswith("# The project shop, made by `addrl init shop --interactions buys.csv")
    assert 'path = "../buys.csv"' in text and "# What was guessed, and why:" in text
    config = load_project("shop")
    assert dict(config.dataset_options)["options"].items.path == str(tmp_path / "goods.csv")
    before = (tmp_path / "shop" / "schema" / "items.pbtxt").read_text()
    assert addrl("shop", *TABLES, "--force", "--split", "random")[0] == 0
    assert (tmp_path / "shop" / "schema" / "items.pbtxt").read_text() == before
    assert dict(load_project("shop").dataset_options)["options"].split.rule == "random"


def test_the_schemas_name_the_canonical_columns(addrl, tmp_path):
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    addrl("shop", *TABLES)
    tables = dict(load_project("shop").dataset_options)["options"]
    folder = tmp_path / "shop" / "schema"
    items = text_format.Parse((folder / "items.pbtxt").read_text(), schema_pb2.Schema())
    assert [f.name for f in items.feature] == ["item_id", "title", *tables.columns]
    interactions = text_format.Parse(
        (folder / "interactions.pbtxt").read_text(), schema_pb2.Schema()
    )
    assert [f.name for f in interactions.feature] == ["user_id", "item_id", "timestamp"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("my shop", *TABLES), "NAME becomes a folder and may hold letters, digits, - and _ only."),
        (("movielens", *TABLES), "there is a preset of this name. Received: 'movielens'."),
        (("goods.csv", *TABLES), "may hold letters, digits"),
        (("taken", *TABLES), "taken/addrl.toml is there already."),
        (("shop", "--items", "goods.csv"), "the following arguments are required: --interactions"),
        (("shop", *TABLES, "--split", "time"), "no such choice. Received: 'time'."),
        (("shop", *TABLES, "--time-format", "us"), "no such choice. Received: 'us'."),
    ],
)
def test_a_wrong_command_line_is_one_line(addrl, tmp_path, argv, message):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "addrl.toml").write_text("")
    code, out, err = addrl(*argv)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def make_list(words):
    return lambda n: f"{words[n % 4]}|{words[(n + 1) % 4]}"


@pytest.mark.parametrize(
    "columns",
    [
        dict.fromkeys(
            ("ease", "item_knn", "item_warmth", "user_activity", "residual", "memory", "id"),
            lambda n: COLOURS[n // 8],
        ),
        {"genres": make_list(COLOURS), "genre": lambda n: COLOURS[n // 8]},
        {"genre": lambda n: COLOURS[n // 8], "genres": make_list(COLOURS)},
        {"genres": make_list(COLOURS), "genre_name": lambda n: COLOURS[n // 8]},
        {"eases": make_list(COLOURS), "titles": make_list(COLOURS), "prices": make_list(COLOURS)},
        {"ease_code": lambda n: COLOURS[n // 8], "item_warmth_name": lambda n: COLOURS[n % 4]},
    ],
    ids=lambda columns: " ".join(columns),
)
def test_no_column_takes_a_name_that_the_project_cannot_have(addrl, tmp_path, columns):
    # Each column says something else, so that none is dropped as the twin of another.
    columns = {
        name: lambda n, make=make, shift=shift: make((n * (2 * shift + 1) + shift) % 32)
        for shift, (name, make) in enumerate(columns.items())
    }
    buys = make_buys().replace("bought", "bought,price", 1)
    head, *rows = buys.splitlines()
    (tmp_path / "buys.csv").write_text("\n".join([head, *(f"{row},5.5" for row in rows)]))
    (tmp_path / "goods.csv").write_text(make_goods(**columns))
    code, _, err = addrl("shop", *TABLES)
    assert code == 0, err
    sources = {
        column.source or name
        for name, column in dict(load_project("shop").dataset_options)[
            "options"
        ].items.columns.items()
    }
    assert sources == {*columns}
    # Those that are proposed as comments can be added, too.
    path = tmp_path / "shop" / "addrl.toml"
    path.write_text(re.sub(r"(?m)^# (\w+ = \{ column)", r"\1", path.read_text()))
    load_project("shop")


def test_nothing_is_written_that_does_not_load(addrl, tmp_path, monkeypatch):
    from tfx_pipeline import proposals

    render = proposals.render_project
    monkeypatch.setattr(
        proposals, "render_project", lambda *args: render(*args) + "\n[kitchen]\nk = 1\n"
    )
    code, _, err = addrl("shop", *TABLES)
    assert code == 1 and "kitchen" in err
    assert not (tmp_path / "shop").exists()


def test_a_refusal_leaves_no_project(addrl, tmp_path):
    code, _, err = addrl("shop", "--interactions", "nothing.csv", "--items", "goods.csv")
    assert code == 1 and "There is no file of the interactions. Received: nothing.csv." in err
    assert not (tmp_path / "shop").exists()


def test_names_that_are_no_ascii_become_names_of_features():
    assert names.make_name("Größe (cm)", ()) == "grosse_cm"
    assert names.make_name("価格", ("column",)) == "column_2"


def test_texts_with_commas_are_no_lists_and_keywords_are():
    def cells(texts):
        return [Cell(None, text) for text in texts]

    prose = [f"A {n} thing, made by hand, and with love for number {n}" for n in range(50)]
    assert evidence.find_list(cells(prose)) is None
    assert evidence.find_list(cells(["red, blue", "blue", "green, red"] * 20)) == ","
    assert evidence.find_list(cells(["['a', 'b']", "[]"] * 20)) == "json"
    assert evidence.find_list(cells(["1 22 3", "1 22"] * 20)) == " "
