"""How each route is asked for as everybody: what its path names, and a body that it takes.

Every route has an entry in ``ENTRIES``: without one, its line of ``docs/access.md`` can't be tested.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from infra.clock import new_id
from tests.api import people, tree
from tests.api.shop import line, order
from tests.api.things import ADDRESS, COMMISSION, NO_LINK, PROMOTION, WEAK, Make, Things


def _order(things: Things) -> Any:
    return order(things.on_sale) | {"email": things.email}


def _cart(things: Things) -> Any:
    return order(things.on_sale)


def _category(_: Things) -> Any:
    return {"name": tree.a_name()}


def _attribute(_: Things) -> Any:
    return {"code": tree.a_code(), "name": "An attribute", "kind": "text"}


def _offer_terms(_: Things) -> Any:
    return {"sku": new_id().hex, "price": {"amount": 1500, "currency": "USD"}}


def _preview(things: Things) -> Any:
    return {"offer": {"variant_id": str(things.on_sale.variant_id), "seller_id": str(things.on_sale.seller_id)}}


def _credentials(things: Things) -> Any:
    return {"email": things.email, "password": people.PASSWORD}


def _refresh_token(things: Things) -> Any:
    return {"refresh_token": things.refresh_token()}


RETURN = {"lines": [{"line_no": 0, "quantity": 1}], "reason": "as a test"}


class Entry(Struct, frozen=True):
    """How a route is tested: what its path names, the same but hidden from others, a body and parameters it takes.

    ``thing`` is also what a route without parameters lists.
    """

    thing: Make | None = None
    body: Callable[[Things], Any] | Any = None
    hidden: Make | None = None
    params: dict[str, int] = {}


# What would end who asks, or make something else of them, gets a body that fails by its content.
ENTRIES = {
    "POST /orders": Entry(body=_order),
    "POST /orders/quote": Entry(body=_order),
    "GET /orders": Entry(Things.fresh_order),
    "GET /orders/{order_id}": Entry(Things.order),
    "GET /orders/{order_id}/timeline": Entry(Things.order),
    "GET /orders/{order_id}/invoice": Entry(Things.order),
    "POST /orders/{order_id}/returns": Entry(Things.order, RETURN),
    "GET /returns": Entry(Things.return_of_ones_order),
    "GET /returns/{return_id}": Entry(Things.return_of_ones_order),
    "POST /returns/{return_id}/approve": Entry(Things.return_of_ones_goods),
    "POST /returns/{return_id}/reject": Entry(Things.return_of_ones_goods, {"reason": "as a test"}),
    "POST /returns/{return_id}/receive": Entry(Things.return_of_ones_goods),
    "POST /orders/{order_id}/refunds": Entry(Things.order_of_ones_goods),
    "POST /orders/{order_id}/notes": Entry(Things.order_of_ones_goods, {"text": "a test"}),
    "GET /orders/{order_id}/notes": Entry(Things.order_of_ones_goods),
    "POST /orders/{order_id}/cancel": Entry(Things.order),
    "GET /seller-orders": Entry(Things.seller_order),
    "GET /seller-orders/{seller_order_id}": Entry(Things.seller_order),
    "POST /seller-orders/{seller_order_id}/accept": Entry(Things.seller_order),
    "POST /seller-orders/{seller_order_id}/ship": Entry(Things.seller_order),
    "POST /seller-orders/{seller_order_id}/deliver": Entry(Things.seller_order),
    "POST /seller-orders/{seller_order_id}/cancel": Entry(Things.seller_order),
    "POST /orders/{order_id}/payment": Entry(Things.fresh_order, body={"gateway": "sandbox", "token": "tok_ok"}),
    "POST /orders/{order_id}/confirm-payment": Entry(Things.order),
    "POST /orders/{order_id}/capture": Entry(Things.order),
    "GET /carts": Entry(Things.cart),
    "POST /carts": Entry(body={"currency": "USD"}),
    "GET /carts/{cart_id}": Entry(Things.cart),
    "PUT /carts/{cart_id}": Entry(Things.cart, {"currency": "USD"}),
    "DELETE /carts/{cart_id}": Entry(Things.cart),
    "POST /carts/{cart_id}/checkout": Entry(Things.cart, {"email": "a@example.com"}),
    "GET /promotions": Entry(Things.promotion),
    "POST /promotions": Entry(body=PROMOTION),
    "GET /promotions/{promotion_id}": Entry(Things.promotion),
    "PUT /promotions/{promotion_id}": Entry(Things.promotion, PROMOTION),
    "POST /promotions/{promotion_id}/activate": Entry(Things.promotion),
    "POST /promotions/{promotion_id}/pause": Entry(Things.active_promotion),
    "POST /promotions/{promotion_id}/end": Entry(Things.active_promotion),
    "GET /promotions/{promotion_id}/usage": Entry(Things.promotion),
    "GET /promotions/{promotion_id}/redemptions": Entry(Things.promotion),
    "GET /promotions/{promotion_id}/codes": Entry(Things.promotion),
    "POST /promotions/{promotion_id}/codes": Entry(Things.promotion, {"count": 1}),
    "GET /jobs": Entry(Things.fresh_order),
    "GET /jobs/{job_id}": Entry(Things.job),
    "GET /jobs/{job_id}/events": Entry(Things.job),
    "POST /jobs/{job_id}/cancel": Entry(Things.job),
    "POST /jobs/{job_id}/retry": Entry(Things.job),
    "GET /categories": Entry(),
    "POST /categories": Entry(body=_category),
    "GET /categories/{category_id}": Entry(Things.category),
    "PUT /categories/{category_id}": Entry(Things.category, _category),
    "DELETE /categories/{category_id}": Entry(Things.category),
    "GET /categories/{category_id}/schema": Entry(Things.category),
    "POST /categories/{category_id}/move": Entry(Things.category, {"parent_id": None}),
    "PUT /categories/{category_id}/attributes/{attribute_id}": Entry(Things.assignment, {"position": 1}),
    "DELETE /categories/{category_id}/attributes/{attribute_id}": Entry(Things.assignment),
    "GET /attributes": Entry(),
    "POST /attributes": Entry(body=_attribute),
    "GET /attributes/{attribute_id}": Entry(Things.attribute),
    "PUT /attributes/{attribute_id}": Entry(Things.attribute, _attribute),
    "DELETE /attributes/{attribute_id}": Entry(Things.attribute),
    "GET /products": Entry(),
    "GET /products/{product_id}": Entry(Things.product, hidden=Things.hidden_product),
    "GET /products/by-slug/{slug}": Entry(Things.slug, hidden=Things.hidden_slug),
    "GET /products/{product_id}/history": Entry(Things.product),
    "POST /products": Entry(body={"title": "A thing"}),
    "PUT /products/{product_id}": Entry(Things.product, {"title": "Another thing"}),
    "PATCH /products/{product_id}": Entry(Things.product, {"title": "Another thing"}),
    "POST /products/{product_id}/submit": Entry(Things.product),
    "POST /products/{product_id}/approve": Entry(Things.submitted_product, {"approve": True}),
    "POST /products/{product_id}/activate": Entry(Things.hidden_product),
    "POST /products/{product_id}/deactivate": Entry(Things.product),
    "POST /products/{product_id}/archive": Entry(Things.hidden_product),
    "POST /products/{product_id}/variants/generate": Entry(Things.product),
    "GET /variants/{variant_id}": Entry(Things.variant, hidden=Things.hidden_variant),
    "PATCH /variants/{variant_id}": Entry(Things.variant, {"weight_grams": 100}),
    "GET /variants/{variant_id}/offers": Entry(Things.variant, hidden=Things.hidden_variant),
    "PUT /offers/{variant_id}/{seller_id}": Entry(Things.offer, _offer_terms),
    "DELETE /offers/{variant_id}/{seller_id}": Entry(Things.offer),
    "GET /inventory/{variant_id}/{seller_id}": Entry(Things.offer),
    "GET /inventory/{variant_id}/{seller_id}/history": Entry(Things.offer),
    "PUT /inventory/{variant_id}/{seller_id}/stock": Entry(Things.offer, {"reason": "counted", "on_hand": 5}),
    "PUT /inventory/{variant_id}/{seller_id}/threshold": Entry(Things.offer, {"threshold": 5}),
    "POST /inventory/stock/bulk": Entry(
        body={"reason": "counted", "items": [{"variant_id": str(new_id()), "on_hand": 5}]}
    ),
    "POST /inventory/reserve": Entry(body=lambda things: line(things.on_sale)),
    "POST /inventory/release/{reservation_id}": Entry(Things.hold),
    "POST /inventory/extend/{reservation_id}": Entry(Things.hold),
    "POST /inventory/confirm/{reservation_id}": Entry(Things.hold_of_ones_stock),
    "GET /inventory/movements": Entry(Things.variant),
    "POST /auth/register": Entry(body={"email": "a@example.com", "password": WEAK}),
    "POST /auth/verify-email": Entry(body={"token": NO_LINK}),
    "POST /auth/password/forgot": Entry(body={"email": "nobody@example.com"}),
    "POST /auth/password/reset": Entry(body={"token": NO_LINK, "password": people.PASSWORD}),
    "POST /auth/login": Entry(body=_credentials),
    "POST /auth/refresh": Entry(body=_refresh_token),
    "POST /auth/logout": Entry(body=_refresh_token),
    "POST /auth/guest": Entry(),
    "GET /auth/profile": Entry(),
    "PATCH /auth/profile": Entry(body={"name": "Somebody"}),
    "GET /auth/notifications": Entry(),
    "PUT /auth/notifications": Entry(body={"email": {"order_shipped": False}}),
    "GET /mails/unsubscribe": Entry(),
    "POST /mails/unsubscribe": Entry(body={}),
    "POST /auth/password/change": Entry(body={"current_password": people.PASSWORD, "new_password": WEAK}),
    "GET /auth/sessions": Entry(Things.session),
    "DELETE /auth/sessions/{session_id}": Entry(Things.session),
    "GET /addresses": Entry(Things.address),
    "POST /addresses": Entry(body=ADDRESS),
    "PUT /addresses/{address_id}": Entry(Things.address, ADDRESS),
    "DELETE /addresses/{address_id}": Entry(Things.address),
    "GET /api-keys": Entry(Things.api_key),
    "POST /api-keys": Entry(body={"name": "a test", "scopes": ["jobs:read"]}),
    "POST /api-keys/{key_id}/rotate": Entry(Things.api_key),
    "DELETE /api-keys/{key_id}": Entry(Things.api_key),
    "GET /accounts": Entry(),
    "POST /accounts/{account_id}/suspend": Entry(Things.account, {"reason": "as a test"}),
    "POST /accounts/{account_id}/reactivate": Entry(Things.account),
    "PUT /accounts/{account_id}/roles": Entry(Things.account, {"roles": ["BUYER"]}),
    "PUT /accounts/{account_id}/group": Entry(Things.account, {"group": "wholesale"}),
    "POST /promotions/apply": Entry(body=_cart),
    "GET /tax-rates": Entry(),
    "PUT /tax-rates": Entry(body={"items": []}),
    "GET /price-lists": Entry(),
    "PUT /price-lists": Entry(body={"items": []}),
    "GET /shipping/zones": Entry(),
    "PUT /shipping/zones": Entry(body={"items": []}),
    "GET /shipping/methods": Entry(),
    "PUT /shipping/methods": Entry(body={"items": []}),
    "GET /shipping/rates": Entry(),
    "PUT /shipping/rates": Entry(body={"items": []}),
    "POST /sellers/apply": Entry(body={"name": ""}),
    "GET /sellers/me": Entry(),
    "PATCH /sellers/me": Entry(body={"description": "As before"}),
    "POST /sellers/me/members": Entry(body={"email": "nobody@example.com", "position": "staff"}),
    "DELETE /sellers/me/members/{account_id}": Entry(Things.member),
    "GET /stream": Entry(params={"seconds": 1}),
    "GET /webhook-endpoints": Entry(Things.webhook_endpoint),
    "POST /webhook-endpoints": Entry(
        body={"url": "https://receiver.invalid/", "events": ["order.chargeback_fee_charged"]}
    ),
    "GET /webhook-endpoints/{endpoint_id}": Entry(Things.webhook_endpoint),
    "PATCH /webhook-endpoints/{endpoint_id}": Entry(Things.webhook_endpoint, {"description": "A test"}),
    "DELETE /webhook-endpoints/{endpoint_id}": Entry(Things.webhook_endpoint),
    "POST /webhook-endpoints/{endpoint_id}/rotate": Entry(Things.webhook_endpoint, {"overlap_seconds": 60}),
    "POST /webhook-endpoints/{endpoint_id}/test": Entry(Things.webhook_endpoint),
    "GET /webhook-deliveries": Entry(Things.webhook_delivery),
    "GET /webhook-deliveries/{delivery_id}": Entry(Things.webhook_delivery),
    "POST /webhook-deliveries/{delivery_id}/redeliver": Entry(Things.webhook_delivery),
    "GET /sellers/me/commission": Entry(),
    "GET /sellers/me/balance": Entry(),
    "GET /sellers/me/sales": Entry(),
    "GET /sellers/me/statements": Entry(),
    "GET /ledger/accounts": Entry(),
    "GET /ledger/entries": Entry(),
    "GET /payouts": Entry(),
    "POST /payouts": Entry(body={"currency": "XTS"}),
    "GET /payouts/{payout_id}": Entry(Things.payout),
    "POST /payouts/{payout_id}/approve": Entry(Things.payout),
    "POST /payouts/{payout_id}/paid": Entry(Things.payout),
    "POST /payouts/{payout_id}/failed": Entry(Things.payout, {"reason": "a test"}),
    "GET /payouts/{payout_id}/export": Entry(Things.payout),
    "GET /orders/{order_id}/commission": Entry(Things.order_of_ones_goods),
    "GET /pricing/commission-rules": Entry(),
    "POST /pricing/commission-rules": Entry(body=COMMISSION),
    "GET /pricing/commission-rules/{rule_id}": Entry(Things.commission_rule),
    "PUT /pricing/commission-rules/{rule_id}": Entry(Things.commission_rule, COMMISSION),
    "DELETE /pricing/commission-rules/{rule_id}": Entry(Things.commission_rule),
    "POST /pricing/commission/preview": Entry(body=_preview),
    "GET /pricing/commission-calculations": Entry(),
    "GET /sellers": Entry(),
    "POST /sellers/{seller_id}/approve": Entry(Things.seller),
    "POST /sellers/{seller_id}/reject": Entry(Things.seller, {"reason": "as a test"}),
    "POST /sellers/{seller_id}/suspend": Entry(Things.seller, {"reason": "as a test"}),
    "POST /sellers/{seller_id}/reinstate": Entry(Things.seller),
    "POST /webhooks/{gateway}": Entry(lambda _things, _owner: {"gateway": "sandbox"}, {"type": "a test"}),
    "POST /webhooks/carriers/{carrier}": Entry(lambda _things, _owner: {"carrier": "manual"}, {"state": "a test"}),
    "GET /events": Entry(),
    "GET /lanes": Entry(),
    "POST /lanes/{lane}/pause": Entry(Things.lane),
    "POST /lanes/{lane}/resume": Entry(Things.lane),
    "POST /sweeps/{job}": Entry(Things.sweep),
    "GET /health/live": Entry(),
    "GET /health/ready": Entry(),
    "GET /health/dependencies": Entry(),
    "GET /.well-known/jwks.json": Entry(),
    "GET /schema": Entry(),
    "GET /docs": Entry(),
    "GET /metrics": Entry(),
}
