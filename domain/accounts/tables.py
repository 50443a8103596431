"""The tables of accounts, as Piccolo knows them."""

from piccolo.columns import UUID, Text, Timestamptz
from piccolo.table import Table


class Sellers(Table):
    """Who sells, and whether they may."""

    id = UUID(primary_key=True, default=None)
    name = Text(default=None)
    status = Text(default=None)
    created_at = Timestamptz()
