"""The nouns of the business and the decisions about them.

Invariant: a decision is a pure function of Structs. Clocks, ids and randomness come in as
arguments, so that a decision can be replayed, shuffled and property-tested. Only modules named
``sql.py`` and ``reads.py`` talk to the database, and they take the connection explicitly, because
an ambient transaction hides which statements commit together.
"""
