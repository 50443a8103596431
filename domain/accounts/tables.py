"""The tables of accounts, as Piccolo knows them."""

from piccolo.columns import UUID, Array, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from domain.journal.tables import Xid8


class Accounts(Table):
    """People who sign in."""

    id = UUID(primary_key=True, default=None)
    email = Text(default=None)
    email_key = Text(default=None)
    name = Text(default="")
    password_hash = Text(default=None)
    roles = Array(base_column=Text(), default=["BUYER"])
    status = Text(default="active")
    verified_at = Timestamptz(null=True, default=None)
    epoch = Integer(default=1)
    version = Integer(default=1)
    created_at = Timestamptz()
    buyer_group = Text(null=True, default=None)
    language = Text(null=True, default=None)


class Sessions(Table):
    """A family of refresh tokens, from one login."""

    id = UUID(primary_key=True, default=None)
    account_id = UUID(default=None)
    address = Text(default="")
    client = Text(default="")
    created_at = Timestamptz()
    used_at = Timestamptz()
    expires_at = Timestamptz(default=None)
    revoked_at = Timestamptz(null=True, default=None)


class RefreshTokens(Table):
    """The tokens of a session, spent ones included."""

    hash = Bytea(primary_key=True, default=None)
    session_id = UUID(default=None)
    expires_at = Timestamptz(default=None)
    spent_at = Timestamptz(null=True, default=None)


class OneTimeTokens(Table):
    """What links in mails are good for, once."""

    id = UUID(primary_key=True, default=None)
    account_id = UUID(default=None)
    purpose = Text(default=None)
    expires_at = Timestamptz(default=None)
    used_at = Timestamptz(null=True, default=None)


class ApiKeys(Table):
    """Keys of services, each of an account."""

    id = UUID(primary_key=True, default=None)
    account_id = UUID(default=None)
    name = Text(default=None)
    hash = Bytea(default=None)
    scopes = Array(base_column=Text(), default=None)
    created_at = Timestamptz()
    expires_at = Timestamptz(default=None)
    used_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)
    replaced_by = UUID(null=True, default=None)


class Addresses(Table):
    """Where an account's orders may go."""

    id = UUID(primary_key=True, default=None)
    account_id = UUID(default=None)
    name = Text(default=None)
    company = Text(default="")
    line1 = Text(default=None)
    line2 = Text(default="")
    postal_code = Text(default="")
    city = Text(default=None)
    region = Text(default="")
    country = Text(default=None)
    phone = Text(default="")
    version = Integer(default=1)
    created_at = Timestamptz()


class Sellers(Table):
    """Who sells, and whether they may."""

    id = UUID(primary_key=True, default=None)
    name = Text(default=None)
    status = Text(default=None)
    created_at = Timestamptz()
    description = Text(default="")
    reason = Text(default="")
    payout = Bytea(null=True, default=None)
    payout_shown = Text(default="")
    version = Integer(default=1)


class SellerMembers(Table):
    """Who acts for a seller."""

    account_id = UUID(primary_key=True, default=None)
    seller_id = UUID(default=None)
    position = Text(default=None)
    added_at = Timestamptz()


class Revocations(Table):
    """What tokens in hand are no longer good for."""

    subject = UUID(primary_key=True, default=None)
    epoch = Integer(default=None)
    at = Timestamptz()
    xid = Xid8()
