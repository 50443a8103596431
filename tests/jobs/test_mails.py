"""Who is told of what by mail, where to, and what the mails show."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from domain.accounts.model import Role
from domain.orders.fulfilment_model import AcceptSellerOrder, DeliverSellerOrder, ShipSellerOrder, Units
from domain.orders.model import CancelOrder
from domain.orders.return_model import DecideReturn, RequestReturn
from tests.builders import write_account, write_member, write_offers
from tests.engine.parts import Rig
from tests.jobs.mailroom import GUEST, Mailroom, a_mailroom, told

pytestmark = pytest.mark.anyio

KEEPS_ADDRESSES = {"accounts", "orders", "carts"}


@pytest.fixture
async def room(rig: Rig) -> AsyncIterator[Mailroom]:
    async with a_mailroom(rig) as made:
        yield made


async def address_of(room: Mailroom, account: Any) -> str:
    return str(await room.conn.fetchval("SELECT email FROM accounts WHERE id = $1", account))


async def test_a_guest_is_told_of_an_orders_whole_life_at_the_address_it_was_given(room: Mailroom):
    order = await room.order(quantity=2)
    assert told(await room.post()) == [(GUEST, "Your order at The Shop")]
    await room.till.pay(order)
    assert told(await room.post()) == [(GUEST, "Your order is confirmed")]
    await room.do(AcceptSellerOrder(order, 0))
    assert await room.post() == []
    await room.do(ShipSellerOrder(order, 0, tracking="T-1"))
    (shipped,) = await room.post()
    assert told([shipped]) == [(GUEST, "Something of your order is on its way")]
    assert "Seller 0 has sent you this" in shipped.text
    assert "2 \u00d7 A thing" in shipped.text
    assert "Tracking number: T-1 (manual)" in shipped.text
    await room.do(DeliverSellerOrder(order, 0))
    assert told(await room.post()) == [(GUEST, "Something of your order has arrived")]
    assert {state for _, state in await room.rows()} == {"sent"}


async def test_a_payment_that_fails_is_told_and_one_that_was_replaced_is_not(room: Mailroom):
    order = await room.order()
    await room.post()
    await room.till.pay(order, "tok_declined")
    assert told(await room.post()) == [(GUEST, "Your payment for order failed")]
    data = {"payment_id": str(uuid4()), "state": "failed", "captured_minor": 0, "current": False, "reason": None}
    await room.happen(order, "order.payment_failed", data, version=900)
    assert await room.post() == []


async def test_a_cancellation_of_a_paid_order_is_told_to_both_sides_and_the_refund_to_the_buyer(room: Mailroom):
    order = await room.order()
    owner = await write_member(room.conn, room.till.offer.seller_id)
    await room.till.pay(order)
    await room.post()
    await room.do(CancelOrder(order, reason="The kiln broke down."), principal=uuid4())
    mails = await room.post()
    assert told(mails) == sorted(
        [
            (GUEST, "Your order is cancelled"),
            (GUEST, "A refund for your order"),
            (await address_of(room, owner), "Something of order is cancelled"),
        ]
    )
    (cancelled,) = [mail for mail in mails if "Your order" in mail.message["Subject"] and "cancelled" in mail.text]
    assert "The kiln broke down." in cancelled.text
    assert "You get $10.00 back." in cancelled.text
    (refunded,) = [mail for mail in mails if "refund" in mail.message["Subject"]]
    assert "$10.00 of your order" in refunded.text


async def test_what_a_guest_typed_stands_in_no_mail_to_the_guest(room: Mailroom):
    """Anybody can order with anybody's address."""
    guest = uuid4()
    order = await room.order(buyer=guest)
    await room.do(CancelOrder(order, reason="You won! Fetch it at evil.example"), principal=guest)
    assert not [mail for mail in await room.post() if "evil" in mail.text + mail.html]


async def test_lines_that_are_cancelled_are_told_with_what_the_order_comes_to(room: Mailroom):
    offers = await write_offers(room.conn, offers=2, sellers=2, price=700)
    order = await room.order(*offers)
    await room.post()
    await room.do(CancelOrder(order, (0,)))
    (mail,) = await room.post()
    assert told([mail]) == [(GUEST, "Something of your order is cancelled")]
    assert "The order comes to $7.00 now." in mail.text
    assert offers[0].sku in mail.text
    assert offers[1].sku not in mail.text


async def test_a_return_that_is_approved_is_told_with_what_is_to_be_sent_back(room: Mailroom):
    buyer = uuid4()
    order = await room.order(buyer=buyer, quantity=3)
    await room.till.pay(order)
    for command in (AcceptSellerOrder(order, 0), ShipSellerOrder(order, 0), DeliverSellerOrder(order, 0)):
        await room.do(command)
    await room.do(RequestReturn(order, (Units(0, 3),), reason="Too small."), principal=buyer)
    await room.post()
    return_id = await room.conn.fetchval("SELECT id FROM returns WHERE order_id = $1", order)
    await room.do(DecideReturn(order, return_id, approve=True, reason="Wrap it well."))
    (mail,) = await room.post()
    assert told([mail]) == [(GUEST, "You can return something of your order")]
    assert "3 \u00d7 A thing" in mail.text
    assert "Wrap it well." in mail.text


async def test_who_has_an_account_is_told_at_its_verified_address(room: Mailroom):
    buyer = await write_account(room.conn, email="ada@example.com")
    await room.order(buyer=buyer, email="elsewhere@example.com")
    (mail,) = await room.post()
    assert mail.recipients == ["ada@example.com"]


async def test_an_address_that_was_never_verified_is_not_written_to(room: Mailroom):
    buyer = await write_account(room.conn, email="ada@example.com", verified=False)
    await room.order(buyer=buyer, email=None)
    assert await room.post() == []
    await room.order(buyer=buyer)
    assert told(await room.post()) == [(GUEST, "Your order at The Shop")]


async def test_sellers_are_told_of_an_order_when_it_is_confirmed_each_of_their_part(room: Mailroom):
    first, second = await write_offers(room.conn, offers=2, sellers=2)
    owners = [await write_member(room.conn, offer.seller_id) for offer in (first, second)]
    order = await room.order(first, second, email=None)
    assert await room.post() == [], "it may still expire"
    await room.till.pay(order)
    mails = {mail.recipients[0]: mail for mail in await room.post()}
    assert told(list(mails.values())) == sorted([(await address_of(room, owner), "New order") for owner in owners])
    mine = mails[await address_of(room, owners[0])]
    assert first.sku in mine.text
    assert second.sku not in mine.text
    assert GUEST not in mine.text


async def test_sellers_hear_nothing_of_what_is_cancelled_before_they_heard_of_it(room: Mailroom):
    first, second = await write_offers(room.conn, offers=2, sellers=2)
    owners = [await write_member(room.conn, offer.seller_id) for offer in (first, second)]
    order = await room.order(first, second, email=None)
    await room.do(CancelOrder(order, (1,)))
    await room.till.pay(order)
    assert told(await room.post()) == [(await address_of(room, owners[0]), "New order")]
    unpaid = await room.order(first, email=None)
    await room.do(CancelOrder(unpaid))
    assert await room.post() == []


async def test_members_are_not_told_what_they_did_themselves(room: Mailroom):
    seller = room.till.offer.seller_id
    owner, staff = await write_member(room.conn, seller), await write_member(room.conn, seller)
    order = await room.order(email=None)
    await room.till.pay(order)
    assert len(await room.post()) == 2
    await room.do(CancelOrder(order, reason="Sold out."), principal=staff)
    assert told(await room.post()) == [(await address_of(room, owner), "Something of order is cancelled")]


async def test_a_seller_who_buys_from_the_own_shop_is_told_as_both(room: Mailroom):
    owner = await write_member(room.conn, room.till.offer.seller_id)
    order = await room.order(buyer=owner, email=None)
    await room.post()
    await room.till.pay(order)
    address = await address_of(room, owner)
    assert told(await room.post()) == [(address, "New order"), (address, "Your order is confirmed")]


async def test_who_left_a_seller_before_the_mail_went_out_gets_none(room: Mailroom):
    member = await write_member(room.conn, room.till.offer.seller_id)
    order = await room.order(email=None)
    await room.till.pay(order)
    await room.hear()
    await room.conn.execute("DELETE FROM seller_members WHERE account_id = $1", member)
    await room.till.run("send_notifications")
    assert room.server.taken == []
    assert await room.rows() == [("new_order", "skipped")]


async def test_a_mail_shows_the_order_as_it_was_when_that_happened(room: Mailroom):
    offers = await write_offers(room.conn, offers=2, sellers=2, price=700)
    order = await room.order(*offers)
    await room.hear()
    await room.do(CancelOrder(order, (0,)))
    await room.conn.execute("UPDATE offers SET price_minor = 1")
    await room.till.run("send_notifications")
    (placed,) = room.server.taken
    assert all(offer.sku in placed.text for offer in offers)
    assert "Total: $14.00" in placed.text


async def test_a_product_is_told_approved_or_rejected_with_the_reason(room: Mailroom):
    owner = await write_member(room.conn, room.till.offer.seller_id)
    product = room.till.offer.product_id
    await room.happen(product, "product.approved", {"changes": {}}, version=900)
    assert told(await room.post()) == [(await address_of(room, owner), "A product of yours was approved")]
    reason = {"changes": {"reason": {"before": "", "after": "The picture is missing."}}}
    await room.happen(product, "product.rejected", reason, version=901)
    (mail,) = await room.post()
    assert "A thing" in mail.text
    assert "The picture is missing." in mail.text


async def test_a_payout_is_told_each_of_its_sellers_in_steps(room: Mailroom, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jobs.tell_payouts.STEP_SELLERS", 2)
    payout = uuid4()
    await room.conn.execute(
        "INSERT INTO payouts (id, currency, state, until, minimum_minor, created_by, created_at)"
        " VALUES ($1, 'EUR', 'paid', now(), 1, $1, now())",
        payout,
    )
    addresses = []
    for state in ("paid", "paid", "failed", "paid"):
        (offer,) = await write_offers(room.conn)
        owner = await write_member(room.conn, offer.seller_id)
        addresses += [await address_of(room, owner)] if state == "paid" else []
        await room.conn.execute(
            "INSERT INTO payout_items (payout_id, seller_id, amount_minor, orders, state) VALUES ($1, $2, 1234, 1, $3)",
            payout,
            offer.seller_id,
            state,
        )
    await room.happen(payout, "payout.paid", {"sellers": 3, "amount_minor": 3702})
    await room.hear()
    while await room.conn.fetchval("SELECT count(*) FROM pending WHERE job = 'tell_payouts'"):
        await room.till.run("tell_payouts")
    mails = await room.post()
    assert told(mails) == sorted((address, "The Shop has paid you") for address in addresses)
    assert "\u20ac12.34 was paid out to you." in mails[0].text
    assert "It is for 1 order." in mails[0].text


async def test_a_webhook_endpoint_that_is_switched_off_is_told_its_owner(room: Mailroom):
    member = await write_member(room.conn, room.till.offer.seller_id)
    admin = await write_account(room.conn, Role.ADMIN)
    gone = {"seller_id": str(room.till.offer.seller_id), "host": "hooks.example.com", "reason": "it gave no 2xx"}
    await room.happen(uuid4(), "webhook_endpoint.disabled", gone)
    assert told(await room.post()) == [(await address_of(room, member), "A webhook endpoint of yours was switched off")]
    await room.happen(
        uuid4(),
        "webhook_endpoint.disabled",
        {"seller_id": None, "host": "hooks.example.com", "reason": "it gave no 2xx"},
    )
    assert [mail.recipients[0] for mail in await room.post()] == [await address_of(room, admin)]


async def test_each_reads_their_own_language_and_the_others_the_deployments(rig: Rig):
    async with a_mailroom(rig, MAIL_LANGUAGE="de") as room:
        buyer = await write_account(room.conn)
        await room.conn.execute("UPDATE accounts SET language = 'en' WHERE id = $1", buyer)
        await room.order(buyer=buyer)
        (english,) = await room.post()
        await room.order()
        (german,) = await room.post()
    assert str(english.message["Subject"]).startswith("Your order")
    assert str(german.message["Subject"]).startswith("Ihre Bestellung")


async def test_an_address_stands_in_the_mail_and_nowhere_else(room: Mailroom, capfdbinary: Any):
    buyer = await write_account(room.conn, email="ada@lovelace.example")
    order = await room.order(buyer=buyer, email=None)
    await room.till.pay(order)
    assert len(await room.post()) == 2
    tables = await room.conn.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    holding = set()
    for (table,) in tables:
        if await room.conn.fetchval(f"SELECT bool_or(to_jsonb(t)::text ~ 'lovelace') FROM {table} t"):
            holding.add(table)
    assert holding == {"accounts"} <= KEEPS_ADDRESSES
    out, err = capfdbinary.readouterr()
    assert not re.search(rb"lovelace", out + err)
