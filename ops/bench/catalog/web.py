"""The api with a route more, ``GET /constant``: what a request costs that asks for nothing."""

from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse

from api.__main__ import serve
from api.access import anyone
from api.app import correlate, create
from infra import settings as settings_module
from infra import telemetry
from infra.process import die_with_parent

BODY = b'{"text":"%b"}' % (b"x" * 1_000)
"""About as long as a product."""


@get("/constant", opt=anyone(limited=False))
async def constant(request: Request[Any, Any, Any]) -> ASGIResponse:  # noqa: ARG001 - as handlers are called
    """Answer."""
    return ASGIResponse(body=BODY, media_type="application/json")


def application() -> Any:
    """The api's own app, with the route."""
    die_with_parent()
    settings = settings_module.load()
    telemetry.configure(settings, "api")
    app = create(settings)
    app.register(constant)
    return correlate(app)


if __name__ == "__main__":
    serve("ops.bench.catalog.web:application")
