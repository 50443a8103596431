"""The api's side: check token, key and body, then send a message that carries the order."""

import os
import time
from typing import Any

import msgspec
import redis.asyncio
from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from litestar import Litestar, Request, Response, post
from litestar.exceptions import HTTPException

from domain.orders.model import PlaceOrder
from infra.clock import new_id
from infra.security import BadTokenError, Tokens
from ops.bench.per_message.actors import place_order

KEY_SECONDS = 72 * 3_600
CONNECTIONS_MAX = 1_000
"""More than requests at a time: past it the client raises."""


@post("/orders", status_code=202)
async def accept(request: Request[Any, Any, Any], data: PlaceOrder) -> Response[dict[str, str]]:
    """Accept an order; the same key of the same buyer is the same order again."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        buyer = request.app.state.tokens.verify(token if scheme == "Bearer" else "").id
    except BadTokenError as error:
        raise HTTPException(str(error), status_code=401) from None
    order_id, key = str(new_id()), request.headers.get("idempotency-key", "")
    if key:
        name = f"key:{buyer}:{key}"
        known = await request.app.state.redis.set(name, order_id, nx=True, get=True, ex=KEY_SECONDS)
        if known is not None:
            return Response({"id": known.decode()}, headers={"Location": f"/orders/{known.decode()}"})
    # Sending blocks the loop for a moment; handing it to a thread costs more than that.
    place_order.send(order_id, str(buyer), time.time(), msgspec.to_builtins(data))
    return Response({"id": order_id}, headers={"Location": f"/orders/{order_id}"})


def application() -> Litestar:
    """Build the app."""
    app = Litestar([accept], openapi_config=None)
    app.state.tokens = Tokens(os.environ["SECRET_KEY"])
    app.state.redis = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], max_connections=CONNECTIONS_MAX)
    return app


def main() -> None:
    """Serve on ``HTTP_PORT``."""
    Granian(
        "ops.bench.per_message.web:application",
        factory=True,
        port=int(os.environ["HTTP_PORT"]),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
        log_level=LogLevels.info,
    ).serve()


if __name__ == "__main__":
    main()
