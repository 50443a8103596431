"""``per_message``: the same order, one Dramatiq message and one transaction each, as people usually build it.

An api (Litestar on Granian, one process) checks token, key and body of ``POST /orders``, and sends a message that
carries the order to Dramatiq's stock Redis broker. Stock worker processes, one per core with eight threads each,
Dramatiq's default middleware, place each order in one transaction on the same tables, with the same decision and
the same statements, its stock locked first. It is kept good of its kind: connections are pooled on both sides, the
api and the actors are asynchronous, nothing is logged per order, and its client doesn't poll.
"""

from ops.bench.per_message.scenario import per_message

__all__ = ["per_message"]
