"""Small builders of test data: sellers, offers with stock, orders, commands."""

from typing import Any
from uuid import UUID, uuid4

import msgspec

from domain.accounts.model import Position, Role
from domain.journal.model import SYSTEM, Command, NewCommand
from domain.journal.sql import insert_commands
from domain.orders.model import OrderLine, PlaceOrder
from infra.clock import new_id
from infra.security import Tokens
from ops.catalog import write_catalog, write_sellers, write_step
from ops.goods import NewOffer, NewSeller, products_of, shelves_of
from ops.shelves import put_up

SECRET_KEY = "a-secret-key-of-the-tests-0123456789"
CARRIER_SECRET = "whsec_Y2Fycmllci1zZWNyZXQtb2YtdGhlLXRlc3Rz"
SANDBOX_SECRET = "whsec_c2FuZGJveC1zZWNyZXQtb2YtdGhlLXRlc3Rz"


def token(subject: UUID | None = None, *roles: Role, seconds: int = 3600) -> str:
    """A bearer token; a new buyer's unless said otherwise."""
    return Tokens(SECRET_KEY).sign(subject or uuid4(), frozenset(roles or (Role.BUYER,)), seconds)


def offer(seller: NewSeller, *, units: int = 100, price: int = 1000, currency: str = "USD", sku: str = "") -> NewOffer:
    variant = new_id()
    return NewOffer(
        product_id=new_id(),
        variant_id=variant,
        seller_id=seller.id,
        title="A thing",
        category="things",
        attributes={"colour": "red"},
        sku=sku or variant.hex,
        price_minor=price,
        currency=currency,
        units=units,
    )


async def write_offers(
    conn: Any, *, offers: int = 1, sellers: int = 1, units: int = 100, price: int = 1000, currency: str = "USD"
) -> list[NewOffer]:
    """Write offers, dealt over sellers in turn."""
    who = [NewSeller(new_id(), f"Seller {n}") for n in range(sellers)]
    made = [offer(who[n % sellers], units=units, price=price, currency=currency) for n in range(offers)]
    await write_catalog(conn, who, made, actor=SYSTEM, reason="test")
    return made


async def write_in_transaction(conn: Any, sellers: list[NewSeller], offers: list[NewOffer]) -> None:
    """Write sellers and offers in the transaction that the caller has begun."""
    shelves, attributes = shelves_of(offers)
    await write_sellers(conn, sellers, actor=SYSTEM)
    schemas = await put_up(conn, shelves, attributes, actor=SYSTEM)
    await write_step(conn, products_of(offers, schemas), actor=SYSTEM, reason="test")


def place(*offers: NewOffer, quantity: int = 1, currency: str = "USD") -> PlaceOrder:
    """The command to order each of some offers."""
    return PlaceOrder(currency, tuple(OrderLine(o.variant_id, o.seller_id, quantity) for o in offers))


def new(command: Command, *, principal: UUID | None = None, command_id: UUID | None = None) -> NewCommand:
    """A command about to be written."""
    return NewCommand(
        id=command_id or new_id(),
        principal=principal or uuid4(),
        command=command,
        payload=msgspec.json.encode(command).decode(),
        correlation="test",
    )


async def submit(conn: Any, *commands: Command, principal: UUID | None = None) -> list[UUID]:
    """Write commands to the journal, as the api does; return their ids in the order given."""
    made = [new(command, principal=principal) for command in commands]
    await insert_commands(conn, made)
    return [n.id for n in made]


WRITE_ACCOUNT = """
INSERT INTO accounts (id, email, email_key, password_hash, roles, verified_at)
VALUES ($1, $2, lower($2), 'no password has this hash', $3, CASE WHEN $4 THEN now() END)
"""


async def write_account(conn: Any, *roles: Role, email: str = "", verified: bool = True) -> UUID:
    """Write an account nobody can log in to; a buyer's with a verified address unless said otherwise."""
    account = new_id()
    address = email or f"{account.hex}@example.com"
    await conn.execute(WRITE_ACCOUNT, account, address, [role.value for role in roles or (Role.BUYER,)], verified)
    return account


async def write_member(conn: Any, seller_id: UUID, position: Position = Position.OWNER) -> UUID:
    """Write an account that acts for a seller; return its id."""
    account = await write_account(conn)
    await conn.execute(
        "INSERT INTO seller_members (account_id, seller_id, position) VALUES ($1, $2, $3)", account, seller_id, position
    )
    return account
