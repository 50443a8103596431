"""``catalog``: lists of products over a small and a large catalog, and one product against a constant.

Two databases are filled alike, one with twenty times the products of the other, and an api serves each. All figures are
of one run, in short turns: a page of the small catalog, the same of the large one, and again. So what else the machine
does meanwhile falls on both.
"""

from ops.bench.catalog.scenario import catalog

__all__ = ["catalog"]
