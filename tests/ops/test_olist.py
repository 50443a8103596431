"""Reading recorded orders: what real files hold is understood, and what can't be is named."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from ops.olist import OlistError, read_records
from tests.ops.records import LINES, ORDERS, ROWS, TOTAL_MINOR, UNITS, item, write_folder


def hexed(text: str) -> UUID:
    return UUID(f"{text:0>32}")


def test_real_input_adds_up(tmp_path: Path):
    records = read_records(write_folder(tmp_path))
    lines = [line for order in records.orders for line in order.lines]
    assert (len(records.orders), len(lines)) == (ORDERS, LINES)
    assert sum(line.quantity for line in lines) == UNITS
    assert sum(order.total_minor for order in records.orders) == TOTAL_MINOR


def test_orders_come_by_their_earliest_limit(tmp_path: Path):
    records = read_records(write_folder(tmp_path))
    assert [order.id for order in records.orders] == [hexed(name) for name in ("a2", "a1", "a3", "a4", "a5", "a6")]
    assert records.orders[0].due == datetime(2017, 9, 18, 9, 45, tzinfo=UTC)


def test_orders_of_one_limit_keep_the_order_of_the_file(tmp_path: Path):
    rows = [item(order_id=f"{name:0>32}") for name in ("f", "1", "9")]
    records = read_records(write_folder(tmp_path, order_items=rows))
    assert [order.id for order in records.orders] == [hexed(name) for name in ("f", "1", "9")]


def test_category_is_translated_or_as_it_is_or_none(tmp_path: Path):
    products = read_records(write_folder(tmp_path)).products
    assert [products[hexed(name)].category for name in ("c1", "c2", "c3")] == ["health_beauty", None, "pc_gamer"]


def test_quoted_cell_with_a_comma_is_one_cell(tmp_path: Path):
    assert read_records(write_folder(tmp_path)).sellers[hexed("b1")].city == "mogi guacu, brasil"


def test_two_prices_of_an_offer_in_one_order_are_two_variants(tmp_path: Path):
    prices = ("58.9", "61", "58.90")
    rows = [item(order_item_id=str(number), price=price) for number, price in enumerate(prices, 1)]
    (order,) = read_records(write_folder(tmp_path, order_items=rows)).orders
    assert [(line.variant_no, line.quantity, line.unit_price_minor) for line in order.lines] == [
        (0, 2, 5890),
        (1, 1, 6100),
    ]


@pytest.mark.parametrize(
    ("price", "minor"), [("0", 0), ("0.01", 1), ("1.1", 110), ("6735", 673500), ("4.350", 435), (" 58.9 ", 5890)]
)
def test_price_is_exact(tmp_path: Path, price: str, minor: int):
    (order,) = read_records(write_folder(tmp_path, order_items=[item(price=price)])).orders
    assert order.total_minor == minor


@pytest.mark.parametrize("due", ["2/28/2018 23:59", "02/28/2018 23:59:00", "2018-02-28 23:59:00"])
def test_time_is_month_first_or_year_first(tmp_path: Path, due: str):
    (order,) = read_records(write_folder(tmp_path, order_items=[item(shipping_limit_date=due)])).orders
    assert order.due == datetime(2018, 2, 28, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("order_id", "a1"),
        ("order_id", "g" * 32),
        ("order_id", f"{'a1':0>30}\udcff\udcfe"),
        ("order_item_id", "first"),
        ("order_item_id", "-1"),
        ("product_id", ""),
        ("product_id", "d" * 32),
        ("seller_id", "d" * 32),
        ("shipping_limit_date", "19/9/2017 9:45"),
        ("shipping_limit_date", "2/29/2018 9:45"),
        ("shipping_limit_date", ""),
        ("price", "58,9"),
        ("price", '"58,9"'),
        ("price", "-1"),
        ("price", "1e3"),
        ("price", "NaN"),
        ("price", "58.905"),
        ("price", "9999999999999999"),
        ("price", "5\0"),
        ("price", "\u0665"),
    ],
)
def test_malformed_cell_is_named_by_file_line_and_column(tmp_path: Path, column: str, value: str):
    folder = write_folder(tmp_path)
    path = folder / "order_items.csv"
    bad = item(**{column: value}).encode(errors="surrogateescape")
    path.write_bytes(path.read_bytes() + bad + b"\r\n")
    with pytest.raises(OlistError) as raised:
        read_records(folder)
    line = len(ROWS["order_items.csv"]) + 2
    # A comma too many moves every cell after it: the row is too long.
    named = "freight_value" if value == "58,9" else column
    assert str(raised.value).startswith(f"order_items.csv, line {line}, column {named}: ")
    assert "\n" not in str(raised.value)


def test_line_counts_the_lines_inside_quotes(tmp_path: Path):
    sellers = [f'{"b1":0>32},1,"two\nlines",SP', "b2,2,rio,RJ"]
    with pytest.raises(OlistError, match=r"^sellers\.csv, line 4, column seller_id: "):
        read_records(write_folder(tmp_path, sellers=sellers))


def test_row_that_ends_early_names_the_first_column_it_lacks(tmp_path: Path):
    with pytest.raises(OlistError, match=r"^products\.csv, line 2, column product_name_lenght: the row ends"):
        read_records(write_folder(tmp_path, products=[f"{'c1':0>32},auto"]))


def test_quote_that_is_never_closed_names_its_line(tmp_path: Path):
    with pytest.raises(OlistError, match=r"^products\.csv, line 2, column product_id to product_name_lenght: "):
        read_records(write_folder(tmp_path, products=[f'{"c1":0>32},"auto,1']))


def test_item_told_twice_is_refused(tmp_path: Path):
    with pytest.raises(OlistError, match=r"^order_items\.csv, line 3, column order_item_id: .* already"):
        read_records(write_folder(tmp_path, order_items=[item(), item(price="60")]))


@pytest.mark.parametrize(
    ("file", "column"), [("sellers", "seller_id"), ("products", "product_id"), ("category_translation", "name")]
)
def test_row_told_twice_is_refused(tmp_path: Path, file: str, column: str):
    row = ROWS[f"{file}.csv"][0]
    with pytest.raises(OlistError, match=rf"^{file}\.csv, line 3, column \w*{column}: stands on line 2 already"):
        read_records(write_folder(tmp_path, **{file: [row, row]}))


def test_missing_column_is_named(tmp_path: Path):
    folder = write_folder(tmp_path)
    path = folder / "order_items.csv"
    path.write_bytes(path.read_bytes().replace(b",price,", b",cost,"))
    with pytest.raises(OlistError, match=r"^order_items\.csv, line 1, column price: "):
        read_records(folder)


def test_missing_and_empty_files_are_named(tmp_path: Path):
    folder = write_folder(tmp_path)
    (folder / "sellers.csv").write_bytes(b"")
    with pytest.raises(OlistError, match=r"^sellers\.csv, line 1, column seller_id: the file is empty"):
        read_records(folder)
    (folder / "sellers.csv").unlink()
    with pytest.raises(OlistError, match=r"sellers\.csv: No such file"):
        read_records(folder)
