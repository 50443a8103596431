"""The lifecycle of products over HTTP, and their slugs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api import goods, tree
from tests.api.goods import ADMIN, Seller, by_slug, looked_up
from tests.api.shop import Shop, assert_problem

# --- The lifecycle --------------------------------------------------------------------------------------------------


def test_an_illegal_step_is_a_409_that_names_the_state_and_what_is_allowed(
    shop: Shop, seller: Seller, shirts: dict[str, Any]
):
    made = goods.shirt(shop, seller, shirts)
    problem = assert_problem(goods.step(shop, made, "activate", seller.header), 409, "product_state")
    assert problem["detail"] == "the product is draft and can't be activated; from there it may be edited or submitted"
    goods.stepped(shop, made, "submit", seller.header)
    assert_problem(goods.patch(shop, made, seller.header, {"title": "T"}), 409, "product_state")
    goods.stepped(shop, made, "approve", ADMIN, {"approve": True})
    assert_problem(goods.step(shop, made, "approve", ADMIN, {"approve": True}), 409, "product_state")
    goods.stepped(shop, made, "activate", seller.header)
    assert_problem(goods.step(shop, made, "archive", seller.header), 409, "product_state")
    goods.stepped(shop, made, "deactivate", seller.header)
    goods.stepped(shop, made, "archive", seller.header)
    problem = assert_problem(goods.patch(shop, made, ADMIN, {"title": "T"}), 409, "product_state")
    assert problem["detail"] == "the product is archived and can't be edited; from there nothing follows"


def test_a_rejection_says_why_until_the_product_is_submitted_again(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    made = goods.shirt(shop, seller, shirts)
    goods.stepped(shop, made, "submit", seller.header)
    rejected = goods.stepped(shop, made, "approve", ADMIN, {"approve": False, "reason": "Too warm"})
    assert (rejected["status"], rejected["reason"]) == ("rejected", "Too warm")
    assert_problem(goods.step(shop, made, "submit", seller.header), 409, "product_state")
    edited = goods.patch(shop, made, seller.header, {}).json()
    assert (edited["status"], edited["reason"], edited["version"]) == ("draft", "Too warm", 4)
    submitted = goods.stepped(shop, made, "submit", seller.header)
    assert (submitted["status"], submitted["reason"]) == ("pending_approval", None)


@pytest.mark.parametrize("body", [{"approve": False}, {"approve": True, "reason": "Fine"}])
def test_a_rejection_and_it_alone_says_why(shop: Shop, seller: Seller, shirts: dict[str, Any], body: Any):
    made = goods.shirt(shop, seller, shirts)
    goods.stepped(shop, made, "submit", seller.header)
    assert_problem(goods.step(shop, made, "approve", ADMIN, body), 400, "invalid_request", "reason")


def test_a_product_is_submitted_in_a_category_with_all_it_requires(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    nowhere = goods.product(shop, seller)
    assert_problem(goods.step(shop, nowhere, "submit", seller.header), 422, "unknown_category", "category_id")
    bare = goods.product(shop, seller, category_id=shirts["id"])
    answer = goods.step(shop, bare, "submit", seller.header)
    assert_problem(answer, 422, "attribute_invalid", f"attributes.{shirts['fabric']}")


def test_a_product_without_anything_to_buy_may_be_active(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    made = goods.active(shop, goods.shirt(shop, seller, shirts), seller)
    view = looked_up(shop, made).json()
    assert (view["status"], view["variants"], view["prices"]) == ("active", [], [])


# --- Slugs ----------------------------------------------------------------------------------------------------------


def test_the_old_slug_redirects_after_a_change(shop: Shop, seller: Seller, shirts: dict[str, Any]):
    made = goods.active(shop, goods.shirt(shop, seller, shirts), seller)
    title = tree.a_name("Jumper")
    after = goods.patch(shop, made, seller.header, {"title": title}).json()
    assert after["slug"] != made["slug"]
    answer = by_slug(shop, made["slug"])
    assert answer.status_code == 301
    assert answer.headers["location"] == f"/products/by-slug/{after['slug']}"
    assert answer.headers["cache-control"] == "no-cache"
    assert by_slug(shop, after["slug"]).json() == after
    back = goods.patch(shop, made, seller.header, {"title": made["title"]}).json()
    assert back["slug"] == made["slug"]
    assert by_slug(shop, made["slug"]).json() == back
    assert by_slug(shop, after["slug"]).headers["location"] == f"/products/by-slug/{made['slug']}"


def test_products_of_one_title_have_slugs_of_their_own(shop: Shop, seller: Seller):
    title = tree.a_name("Twin")
    clients = [shop.clients[n % 2] for n in range(16)]
    ready = threading.Barrier(len(clients))

    def make(client: httpx.Client) -> str:
        ready.wait()
        answer = client.post("/products", json={"title": title}, headers=seller.header)
        assert answer.status_code == 201, answer.text
        slug: str = answer.json()["slug"]
        return slug

    with ThreadPoolExecutor(len(clients)) as pool:
        slugs = list(pool.map(make, clients))
    assert len(set(slugs)) == len(clients)
    stem = title.lower().replace(" ", "-")
    assert stem in slugs
    assert all(slug.startswith(stem) for slug in slugs)


def test_a_slug_that_a_product_had_is_never_anothers(shop: Shop, seller: Seller):
    title = tree.a_name("First")
    first = goods.product(shop, seller, title=title)
    goods.patch(shop, first, seller.header, {"title": tree.a_name("Renamed")})
    second = goods.product(shop, seller, title=title)
    assert second["slug"] == f"{first['slug']}-2"


@pytest.mark.parametrize(
    ("title", "slug"), [("Ærø Ægg", "aero-aegg"), ("Кофе", "kofe"), ("…", "untitled"), ("  A -- b_c! ", "a-b-c")]
)
def test_a_slug_is_ascii_whatever_the_title(shop: Shop, seller: Seller, title: str, slug: str):
    assert goods.product(shop, seller, title=title)["slug"].startswith(slug)
