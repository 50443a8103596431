"""Orders over real HTTP, from request to placed order."""

import asyncio

import asyncpg
import httpx

from tests.builders import token, write_offers
from tests.system import System


async def _seed(database_url, **kwargs):
    conn = await asyncpg.connect(database_url)
    try:
        return await write_offers(conn, **kwargs)
    finally:
        await conn.close()


def test_an_order_is_placed_and_its_job_tells_so(system: System, database_url: str):
    (offer,) = asyncio.run(_seed(database_url, units=5, price=1999))
    url = system.web()
    system.worker()
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token()}"}) as client:
        body = {
            "currency": "USD",
            "lines": [{"variant_id": str(offer.variant_id), "seller_id": str(offer.seller_id), "quantity": 2}],
        }
        answer = client.post("/orders", json=body, headers={"Prefer": "wait=10"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"]["total"] == {"amount": 3998, "currency": "USD"}
        job = client.get(answer.headers["Location"]).json()
        assert job["status"] == "succeeded"
        order = client.get(job["links"]["order"]).json()
        assert order["status"] == "pending_payment"
