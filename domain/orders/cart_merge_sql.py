"""Merge a guest's carts into an account's, in the transaction of the login."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from domain.connection import Connection
from domain.journal.model import Event
from domain.journal.sql import insert_events
from domain.limits import Limits
from domain.orders.cart_merge import MergePlan, merge
from domain.orders.cart_model import Cart, CartFacts, CartMerged, CartRemoved, CartStatus, line_facts
from domain.orders.cart_sql import delete_carts, load_carts, lock_carts_of, replace_carts


async def merge_carts(conn: Connection, guest: UUID, account: UUID, limits: Limits, correlation: str) -> Sequence[UUID]:
    """Make a guest's open carts the account's; return which they were."""
    locked = await lock_carts_of(conn, [guest, account])
    found = (await load_carts(conn, locked)).values() if locked else ()
    carts = [cart for cart in found if cart.status is CartStatus.OPEN]
    guests = [cart for cart in carts if cart.owner == guest]
    if not guests:
        return []
    plan = merge(guests, [cart for cart in carts if cart.owner == account], limits)
    written, events = _written(plan, {cart.id: cart for cart in carts}, account, correlation)
    await delete_carts(conn, list(plan.into))
    await replace_carts(conn, written)
    await insert_events(conn, events)
    return [cart.id for cart in guests]


def _written(
    plan: MergePlan, before: dict[UUID, Cart], account: UUID, correlation: str
) -> tuple[list[Cart], list[Event]]:
    written: list[Cart] = []
    facts: list[tuple[UUID, int, str, CartFacts | CartMerged | CartRemoved]] = []
    for cart in plan.standing.values():
        version = cart.version
        if cart.id in plan.moved:
            version += 1
            content = before[cart.id].content
            moved = CartFacts(account, content.currency, line_facts(content))
            facts.append((cart.id, version, "cart.moved", moved))
        added = tuple(gone for gone, into in plan.into.items() if into == cart.id)
        if added:
            version += 1
            merged = CartMerged(account, cart.content.currency, line_facts(cart.content), added)
            facts.append((cart.id, version, "cart.merged", merged))
        if version > cart.version:
            written.append(msgspec.structs.replace(cart, owner=account, version=version))
    facts += [(gone, before[gone].version + 1, "cart.removed", CartRemoved(into)) for gone, into in plan.into.items()]
    events = [
        Event(cart_id, version, kind, msgspec.json.encode(fact).decode(), account, correlation)
        for cart_id, version, kind, fact in facts
    ]
    return written, events
