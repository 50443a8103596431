"""Read a folder of marketplace orders in the layout that Olist published: four CSV files.

Invariant: all or nothing. Every row is checked before the first one is used, and the first bad one ends the
reading with a single line that names file, line and column; so what comes out can be written as it is. Columns
that nothing here uses (sizes, addresses; freight, unless it is asked for) are not looked at.

Rows of ``order_items.csv`` are single units. Those of one order with the same product and seller are one line.
A line has one unit price; should one order hold the same product of the same seller at two prices, that isn't a
price that changed, it is two things sold side by side, and they become two variants of the product.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from msgspec import Struct

from domain.money import MINOR_MAX, exponent

T = TypeVar("T")

CURRENCY = "BRL"
ORDER_ITEMS, PRODUCTS, SELLERS = "order_items.csv", "products.csv", "sellers.csv"
TRANSLATION = "category_translation.csv"
TEXT_LENGTH_MAX = 150
"""Characters of a city or a category: leaves room for what names and titles add within the catalog's limits."""

_ID = re.compile(r"[0-9A-Fa-f]{32}")
_PRICE = re.compile(r"[0-9]{1,16}(\.[0-9]{1,6})?")
_NUMBER = re.compile(r"[0-9]{1,9}")
# Month first is how the files circulate; year first is how Olist wrote them.
_TIMES = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")
_MINOR_PER_MAJOR = 10 ** exponent(CURRENCY)


class OlistError(Exception):
    """The folder can't be used as it is; the message is one line that names the place."""


class Seller(Struct, frozen=True):
    """Who sells, and from where."""

    id: UUID
    city: str
    state: str


class Product(Struct, frozen=True):
    """What is sold; its category in English where there is a translation, None where there is no category."""

    id: UUID
    category: str | None


class Line(Struct, frozen=True):
    """Units of one product from one seller at one price. ``variant_no`` is 0 but for a second price in one order."""

    product_id: UUID
    seller_id: UUID
    variant_no: int
    quantity: int
    unit_price_minor: int


class RecordedOrder(Struct, frozen=True):
    """An order as it was recorded; ``due`` is its earliest shipping limit, local time without a zone.

    ``freight_minor`` is what each seller took for shipping all of their rows; empty where that wasn't asked for.
    """

    id: UUID
    due: datetime
    lines: tuple[Line, ...]
    freight_minor: Mapping[UUID, int] = {}

    @property
    def total_minor(self) -> int:
        """The recorded sum of its rows, freight included where that was asked for."""
        goods = sum(line.quantity * line.unit_price_minor for line in self.lines)
        return goods + sum(self.freight_minor.values())


class Records(Struct, frozen=True):
    """A folder, read: sellers and products by id, orders by their shipping limit, equal ones as in the file."""

    sellers: Mapping[UUID, Seller]
    products: Mapping[UUID, Product]
    orders: Sequence[RecordedOrder]


class _Row:
    """A row's cells by column, able to say where it stands."""

    __slots__ = ("_cells", "_file", "line")

    def __init__(self, file: str, line: int, cells: Mapping[str, str]) -> None:
        self._file = file
        self.line = line
        self._cells = cells

    def error(self, column: str, why: str) -> OlistError:
        return OlistError(f"{self._file}, line {self.line}, column {column}: {why}")

    def text(self, column: str) -> str:
        value = self._cells[column].strip()
        if "\0" in value:
            raise self.error(column, "holds the character U+0000")
        if any("\udc80" <= character <= "\udcff" for character in value):
            raise self.error(column, "is not UTF-8")
        if len(value) > TEXT_LENGTH_MAX:
            raise self.error(column, f"is longer than {TEXT_LENGTH_MAX} characters")
        return value

    def id(self, column: str) -> UUID:
        value = self.text(column)
        if not _ID.fullmatch(value):
            raise self.error(column, f"{value!r} is not an id of 32 hexadecimal digits")
        return UUID(value)

    def number(self, column: str) -> int:
        value = self.text(column)
        if not _NUMBER.fullmatch(value):
            raise self.error(column, f"{value!r} is not a whole number")
        return int(value)

    def price_minor(self, column: str) -> int:
        value = self.text(column)
        if not _PRICE.fullmatch(value):
            raise self.error(column, f"{value!r} is not a price such as 58.9")
        minor = Decimal(value) * _MINOR_PER_MAJOR
        if minor != minor.to_integral_value():
            raise self.error(column, f"{value!r} has more decimals than {CURRENCY}")
        if minor > MINOR_MAX:
            raise self.error(column, f"{value!r} is larger than any price")
        return int(minor)

    def time(self, column: str) -> datetime:
        value = self.text(column)
        for form in _TIMES:
            try:
                # The files name no zone and only the order of the times counts, so any one zone does.
                return datetime.strptime(value, form).replace(tzinfo=UTC)
            except ValueError:
                continue
        raise self.error(column, f"{value!r} is not a time such as 9/19/2017 9:45")


class _Item(Struct, frozen=True):
    product_id: UUID
    seller_id: UUID
    due: datetime
    price_minor: int
    freight_minor: int | None


def read_records(folder: Path, *, freight: bool = False) -> Records:
    """Read and check the four files of a folder, with ``freight`` what shipping cost, too; raises OlistError."""
    translations = _translations(folder)
    sellers = _sellers(folder)
    products = _products(folder, translations)
    items = _items(folder, sellers, products, freight=freight)
    orders = [_order(order_id, of_order) for order_id, of_order in items.items()]
    orders.sort(key=lambda order: order.due)
    return Records(sellers, products, orders)


def _rows(folder: Path, name: str, columns: Sequence[str]) -> Iterator[_Row]:
    try:
        # A byte that isn't UTF-8 becomes a lone surrogate, so that the cell it stands in can be named.
        with (folder / name).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _parse(name, csv.reader(file, strict=True), columns)
    except OSError as error:
        raise OlistError(f"{folder / name}: {error.strerror}") from None


def _parse(name: str, reader: Any, columns: Sequence[str]) -> Iterator[_Row]:
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise OlistError(f"{name}, line {line}, column {_column_of(header)}: {error}") from None
        if not cells:
            continue
        if not header:
            header = [cell.strip() for cell in cells]
            missing = next((column for column in columns if column not in header), None)
            if missing is not None:
                raise OlistError(f"{name}, line {line}, column {missing}: missing from the header")
        elif len(cells) < len(header):
            raise OlistError(f"{name}, line {line}, column {header[len(cells)]}: the row ends before it")
        elif len(cells) > len(header):
            raise OlistError(f"{name}, line {line}, column {header[-1]}: the row goes on after it")
        else:
            yield _Row(name, line, dict(zip(header, cells, strict=True)))
    if not header:
        raise OlistError(f"{name}, line 1, column {columns[0]}: the file is empty")


def _column_of(header: Sequence[str]) -> str:
    """Where quoting broke the csv module doesn't say: it is somewhere in the row."""
    return f"{header[0]} to {header[-1]}" if header else "names"


def _translations(folder: Path) -> dict[str, str]:
    english: dict[str, str] = {}
    lines: dict[str, int] = {}
    for row in _rows(folder, TRANSLATION, ("product_category_name", "product_category_name_english")):
        name = row.text("product_category_name")
        _once(row, "product_category_name", name, lines)
        english[name] = row.text("product_category_name_english")
    return english


def _sellers(folder: Path) -> dict[UUID, Seller]:
    sellers: dict[UUID, Seller] = {}
    lines: dict[UUID, int] = {}
    for row in _rows(folder, SELLERS, ("seller_id", "seller_city", "seller_state")):
        seller = Seller(row.id("seller_id"), row.text("seller_city"), row.text("seller_state"))
        _once(row, "seller_id", seller.id, lines)
        sellers[seller.id] = seller
    return sellers


def _products(folder: Path, translations: Mapping[str, str]) -> dict[UUID, Product]:
    products: dict[UUID, Product] = {}
    lines: dict[UUID, int] = {}
    for row in _rows(folder, PRODUCTS, ("product_id", "product_category_name")):
        category = row.text("product_category_name")
        product = Product(row.id("product_id"), translations.get(category, "") or category or None)
        _once(row, "product_id", product.id, lines)
        products[product.id] = product
    return products


def _items(
    folder: Path, sellers: Mapping[UUID, Seller], products: Mapping[UUID, Product], *, freight: bool
) -> dict[UUID, dict[int, _Item]]:
    """The rows of each order, in the order of the file."""
    items: dict[UUID, dict[int, _Item]] = {}
    columns = ["order_id", "order_item_id", "product_id", "seller_id", "shipping_limit_date", "price"]
    if freight:
        columns.append("freight_value")
    for row in _rows(folder, ORDER_ITEMS, columns):
        of_order = items.setdefault(row.id("order_id"), {})
        number = row.number("order_item_id")
        if number in of_order:
            raise row.error("order_item_id", f"the order has an item {number} already")
        item = _Item(
            row.id("product_id"),
            row.id("seller_id"),
            row.time("shipping_limit_date"),
            row.price_minor("price"),
            row.price_minor("freight_value") if freight else None,
        )
        if item.product_id not in products:
            raise row.error("product_id", f"{item.product_id.hex} is not in {PRODUCTS}")
        if item.seller_id not in sellers:
            raise row.error("seller_id", f"{item.seller_id.hex} is not in {SELLERS}")
        of_order[number] = item
    return items


def _once(row: _Row, column: str, value: T, lines: dict[T, int]) -> None:
    known = lines.setdefault(value, row.line)
    if known != row.line:
        raise row.error(column, f"stands on line {known} already")


def _order(order_id: UUID, items: Mapping[int, _Item]) -> RecordedOrder:
    """Add rows up to lines: units per (product, seller), and per price where one order has several."""
    units: dict[tuple[UUID, UUID], dict[int, int]] = {}
    for item in items.values():
        at_price = units.setdefault((item.product_id, item.seller_id), {})
        at_price[item.price_minor] = at_price.get(item.price_minor, 0) + 1
    lines = tuple(
        Line(product_id, seller_id, variant_no, quantity, price)
        for (product_id, seller_id), at_price in units.items()
        for variant_no, (price, quantity) in enumerate(at_price.items())
    )
    freight: dict[UUID, int] = {}
    for item in items.values():
        if item.freight_minor is not None:
            freight[item.seller_id] = freight.get(item.seller_id, 0) + item.freight_minor
    return RecordedOrder(order_id, min(item.due for item in items.values()), lines, freight)
