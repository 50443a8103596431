"""Measure Ordermill against its own targets: figures and ratios from one run on one machine.

Invariant: a figure counts orders that the database holds, not answers that a client saw; and no figure is given for
a run that lost an order, sold a unit twice or left a command unfinished. Each scenario gets a fresh database and
fresh processes, so that none measures what another one left behind.
"""
