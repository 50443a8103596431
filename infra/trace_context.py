"""Traces that others began: the header field ``traceparent`` of W3C Trace Context (https://www.w3.org/TR/trace-context/).

Invariant: what isn't well-formed counts as not sent, so what a client makes up reaches no log and no other server.
Where nobody named a request (``X-Request-ID``), its trace's id is its correlation id, so that it stands in all that the
request comes to, events included.
"""

import re

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
LENGTH_MAX = 512


def read(field: str) -> str | None:
    """A ``traceparent`` as version 00 writes it; None for what isn't one.

    Of a later version its first four parts are read (§3.2.3).
    """
    found = _TRACEPARENT.fullmatch(field) if len(field) <= LENGTH_MAX else None
    if found is None:
        return None
    version, trace, parent, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None) or not int(trace, 16) or not int(parent, 16):
        return None
    return f"00-{trace}-{parent}-{flags}"


def id_of(traceparent: str) -> str:
    """The id of the trace."""
    return traceparent[3:35]


def onwards(correlation: str, traceparent: str | None) -> dict[str, str]:
    """The header fields by which a request of ours names what it belongs to; to be sent with each call to others.

    Without a ``traceparent`` there still is one where the correlation id is a trace's: what comes of an event.
    """
    fields = {"x-request-id": correlation} if correlation else {}
    if traceparent is None and _TRACE_ID.fullmatch(correlation) and int(correlation, 16):
        traceparent = f"00-{correlation}-{correlation[:15]}1-00"
    return fields if traceparent is None else {**fields, "traceparent": traceparent}
