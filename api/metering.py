"""Requests are counted by what they asked for, and ``GET /metrics`` tells.

Invariant: a request's path never becomes a label: its route's template does, so what clients make up adds nothing.
"""

from typing import Any

from litestar import Request, Response, get
from prometheus_client import Counter, Histogram

from api.access import anyone
from api.context import edge_of, field
from infra import metrics

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"})
_counters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}


def count(scope: Any, status: int, seconds: float) -> None:
    """Count a request; its status is 0 when its client went away without an answer."""
    # Set by the router: a request that no route is for has none.
    template = scope.get("path_template", "")
    key = (scope["method"], template, status)
    found = _counters.get(key)
    if found is None:
        method = key[0] if key[0] in _METHODS else "other"
        route = template or "none"
        found = (
            metrics.HTTP_REQUESTS.labels(method, route, str(status)),
            metrics.HTTP_REQUEST_SECONDS.labels(method, route),
        )
        if method == key[0]:
            _counters[key] = found
    found[0].inc()
    found[1].observe(seconds)


@get("/metrics", opt=anyone(limited=False), include_in_schema=False)
async def tell(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What this process and those that share its port have counted, and what the database knows."""
    text, media_type = await edge_of(request.app.state).teller.tell(field(request, b"accept") or "")
    return Response(text, media_type=media_type)
