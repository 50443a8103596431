"""Commission rules over HTTP: made, changed as long as nothing pays by them, ended."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import msgspec
import pytest

from infra.clock import new_id
from tests.api import fees, goods, tree
from tests.api.fees import ADMIN, RULES, usd
from tests.api.shop import Shop, assert_problem

PAST, FUTURE = "2020-01-01T00:00:00Z", "2900-01-01T00:00:00Z"


def events_of(shop: Shop, made: dict[str, Any]) -> list[tuple[int, str, dict[str, Any]]]:
    rows = shop.fetch("SELECT version, type, data FROM events WHERE stream = $1 ORDER BY version", UUID(made["id"]))
    return [(row["version"], row["type"], msgspec.json.decode(row["data"])) for row in rows]


def revisions_of(shop: Shop, made: dict[str, Any]) -> list[tuple[int, int, int | None]]:
    query = "SELECT revision, from_version, to_version FROM commission_rules WHERE id = $1 ORDER BY revision"
    return [tuple(row) for row in shop.fetch(query, UUID(made["id"]))]


def test_a_rule_is_made_looked_up_and_listed(shop: Shop):
    seller = goods.seller(shop)
    older = fees.rule(shop, seller=goods.seller(shop).id)
    made = fees.rule(shop, seller=seller.id, rate_bp=1250, fixed=usd(30), maximum=usd(900), valid_from=PAST)
    assert (made["version"], made["status"], made["used"], made["overlaps"]) == (1, "active", False, [])
    assert (made["rate_bp"], made["fixed"], made["minimum"], made["maximum"]) == (1250, usd(30), None, usd(900))
    assert made["scope"] == {"sellers": [str(seller.id)]}
    assert fees.looked_up(shop, made) == made
    page = shop.http.get(RULES, headers=ADMIN, params={"limit": 1}).json()
    assert [item["id"] for item in page["items"]] == [made["id"]]
    following = shop.http.get(RULES, headers=ADMIN, params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [item["id"] for item in following["items"]] == [older["id"]]
    ((version, kind, data),) = events_of(shop, made)
    assert (version, kind, data["used"]) == (1, "commission_rule.created", False)
    assert data["content"]["rate_bp"] == 1250


def test_rules_are_listed_by_where_they_stand(shop: Shop):
    seller = goods.seller(shop)
    made = {
        "scheduled": fees.rule(shop, seller=seller.id, valid_from=FUTURE),
        "active": fees.rule(shop, seller=seller.id),
        "inactive": fees.rule(shop, seller=seller.id, active=False),
        "ended": fees.rule(shop, seller=seller.id, valid_until=PAST),
    }
    for status, rule in made.items():
        answer = shop.http.get(RULES, headers=ADMIN, params={"status": status, "limit": 100})
        found = {item["id"]: item["status"] for item in answer.json()["items"]}
        assert set(found.values()) == {status}
        assert {other["id"] for other in made.values()} & set(found) == {rule["id"]}
    assert_problem(shop.http.get(RULES, headers=ADMIN, params={"status": "over"}), 400, "invalid_request", "status")


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"rate_bp": 10_001}, "rate_bp", "invalid_request"),
        ({"rate_bp": -1}, "rate_bp", "invalid_request"),
        ({"title": ""}, "title", "invalid_request"),
        ({"priority": 10**7}, "priority", "invalid_request"),
        ({"valid_from": "2026-01-01T00:00:00"}, "valid_from", "invalid_request"),
        ({"valid_from": FUTURE, "valid_until": PAST}, "valid_until", "invalid_request"),
        ({"valid_from": PAST, "valid_until": PAST}, "valid_until", "invalid_request"),
        ({"fixed": usd(1), "maximum": {"amount": 1, "currency": "EUR"}}, "maximum", "currency_mismatch"),
        ({"minimum": usd(2), "maximum": usd(1)}, "maximum", "invalid_request"),
        ({"fixed": usd(-1)}, "fixed.amount", "invalid_request"),
        ({"scope": {"variants": [str(new_id())]}}, "scope.variants", "invalid_request"),
        ({"scope": {"sellers": [str(new_id())]}}, "scope.sellers[0]", "invalid_request"),
        ({"scope": {"products": [str(new_id())]}}, "scope.products[0]", "invalid_request"),
        ({"scope": {"categories": ["x"]}}, "scope.categories[0]", "invalid_request"),
        # What only the service says of a rule.
        ({"id": str(new_id())}, "id", "invalid_request"),
        ({"version": 7}, "version", "invalid_request"),
        ({"used": True}, "used", "invalid_request"),
        ({"status": "ended"}, "status", "invalid_request"),
        ({"created_by": str(new_id())}, "created_by", "invalid_request"),
        ({"scope": {"users": []}}, "scope.users", "invalid_request"),
    ],
)
def test_a_faulty_rule_is_refused_with_the_place(shop: Shop, body: dict[str, Any], path: str, code: str):
    before = shop.value("SELECT count(*) FROM commission_rules")
    assert_problem(fees.send(shop, body), 400, code, path)
    made = fees.rule(shop, valid_from=FUTURE)
    answer = shop.http.put(f"{RULES}/{made['id']}", json={"title": "A rule", **body}, headers=ADMIN)
    assert_problem(answer, 400, code, path)
    assert shop.value("SELECT count(*) FROM commission_rules") == before + 1


def test_a_rule_no_order_pays_by_is_changed_and_keeps_what_it_was(shop: Shop):
    seller = goods.seller(shop)
    made = fees.rule(shop, seller=seller.id, rate_bp=1000)
    answer = fees.change(shop, made, rate_bp=1200)
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    after = answer.json()
    assert (after["version"], after["rate_bp"], after["used"]) == (2, 1200, False)
    (first, began, ended), (second, began_again, open_end) = revisions_of(shop, made)
    assert (first, second, ended, open_end) == (1, 2, began_again, None)
    assert began < began_again
    assert [(version, kind) for version, kind, _ in events_of(shop, made)] == [
        (1, "commission_rule.created"),
        (2, "commission_rule.changed"),
    ]


def test_the_same_again_makes_no_new_version(shop: Shop):
    made = fees.rule(shop, seller=goods.seller(shop).id, rate_bp=1000)
    assert fees.change(shop, made).json()["version"] == 1
    assert len(revisions_of(shop, made)) == 1


def test_a_rule_is_changed_and_ended_on_the_version_that_was_read(shop: Shop):
    made = fees.rule(shop, seller=goods.seller(shop).id)
    path, body = f"{RULES}/{made['id']}", {"title": "Another", "valid_until": FUTURE}
    stale, seen = ADMIN | {"If-Match": '"7"'}, ADMIN | {"If-Match": '"1"'}
    assert_problem(shop.http.put(path, json=body, headers=stale), 412, "stale_version", "If-Match")
    assert shop.http.put(path, json=body, headers=seen).status_code == 200
    assert_problem(shop.http.put(path, json=body, headers=seen), 412, "stale_version", "If-Match")
    assert_problem(fees.end(shop, made, If_Match='"1"'), 412, "stale_version", "If-Match")
    assert fees.end(shop, made, If_Match='"2"').status_code == 204


def test_a_rule_orders_pay_by_is_ended_and_not_changed(shop: Shop):
    seller = goods.seller(shop)
    offer = shop.offer_of(seller.id)
    made = fees.rule(shop, seller=seller.id, rate_bp=1000)
    order = fees.ordered(shop, offer)
    assert fees.looked_up(shop, made)["used"] is True
    problem = assert_problem(fees.change(shop, made, rate_bp=1), 409, "rule_in_use")
    assert "DELETE" in problem["detail"]
    assert fees.end(shop, made).status_code == 204
    found = fees.looked_up(shop, made)
    assert (found["status"], found["used"], found["version"], found["rate_bp"]) == ("ended", True, 2, 1000)
    (line,) = fees.of_order(shop, order)["lines"]
    assert (line["rule_id"], line["commission"]) == (made["id"], usd(100))


def test_no_order_pays_by_a_rule_that_has_ended(shop: Shop):
    seller = goods.seller(shop)
    offer = shop.offer_of(seller.id)
    made = fees.rule(shop, seller=seller.id, rate_bp=1000)
    fees.end(shop, made)
    (line,) = fees.of_order(shop, fees.ordered(shop, offer))["lines"]
    assert (line["rule_id"], line["terms"], line["commission"]) == (None, None, usd(0))
    assert {"rule_id": made["id"], "lost": "ended"} in line["considered"]


def test_what_has_ended_is_neither_changed_nor_ended_again(shop: Shop):
    made = fees.rule(shop, seller=goods.seller(shop).id, valid_until=FUTURE)
    assert fees.end(shop, made).status_code == 204
    ended = fees.looked_up(shop, made)
    assert ended["valid_until"] < FUTURE
    assert_problem(fees.change(shop, made, rate_bp=1), 409, "conflict")
    assert fees.end(shop, made).status_code == 204
    assert fees.looked_up(shop, made) == ended
    assert [kind for _, kind, _ in events_of(shop, made)] == ["commission_rule.created", "commission_rule.ended"]


def test_a_change_holds_for_every_order_accepted_after_it_was_answered(shop: Shop):
    seller = goods.seller(shop)
    offer = shop.offer_of(seller.id)
    for rate in (500, 700, 900):
        made = fees.rule(shop, seller=seller.id, rate_bp=rate)
        (line,) = fees.of_order(shop, fees.ordered(shop, offer))["lines"]
        assert (line["rule_id"], line["terms"]["rate_bp"]) == (made["id"], rate)
        fees.end(shop, made)


def test_the_answer_names_the_rules_of_the_same_rank_that_it_meets(shop: Shop):
    seller, other = goods.seller(shop), goods.seller(shop)
    parent = tree.category(shop)
    child = tree.category(shop, parent)
    both = {"sellers": [str(seller.id), str(other.id)], "categories": [parent["id"]]}
    first = fees.rule(shop, scope=both, valid_from=PAST, valid_until="2890-01-01T00:00:00Z")
    within = {"sellers": [str(seller.id)], "categories": [child["id"]]}
    assert [each["id"] for each in fees.rule(shop, scope=within)["overlaps"]] == [first["id"]]
    assert fees.rule(shop, scope=within, priority=5)["overlaps"] == []
    assert fees.rule(shop, scope=within, active=False)["overlaps"] == []
    assert fees.rule(shop, scope=within, valid_from="2890-01-01T00:00:00Z")["overlaps"] != [first["id"]]
    assert fees.rule(shop, seller=seller.id)["overlaps"] == []
    later = fees.rule(shop, scope={"sellers": [str(other.id)], "categories": [parent["id"]]})
    assert [each["id"] for each in later["overlaps"]] == [first["id"]]
    # Each names the other.
    assert later["id"] in [each["id"] for each in fees.looked_up(shop, first)["overlaps"]]
    moved = fees.change(shop, later, valid_from="2890-01-01T00:00:00Z").json()
    assert moved["overlaps"] == []


def test_edits_at_once_are_made_one_after_the_other(shop: Shop):
    seller = goods.seller(shop)
    made = fees.rule(shop, seller=seller.id, rate_bp=0)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: fees.change(shop, made, rate_bp=n), range(1, 9)))
    assert {answer.status_code for answer in answers} == {200}
    found = revisions_of(shop, made)
    assert [revision for revision, _, _ in found] == list(range(1, 10))
    assert [to for _, _, to in found] == [*(began for _, began, _ in found[1:]), None]


def test_a_rule_is_made_once_under_one_key(shop: Shop):
    header = ADMIN | {"Idempotency-Key": new_id().hex}
    seller = goods.seller(shop)
    body = {"scope": {"sellers": [str(seller.id)]}, "rate_bp": 100}
    first, again = fees.send(shop, body, header), fees.send(shop, body, header)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(revisions_of(shop, first.json())) == 1
