"""The verbs: one file per job. Importing this package's modules registers them.

A job is the imperative shell around a decision: load, decide, write. What it decides is in ``domain``.
"""

import importlib
import pkgutil

from domain.journal.declare import Job, Subscription, registered, subscribed


def load() -> dict[str, Job]:
    """Import every module of this package and return the declared jobs by name."""
    _import_all()
    return {name: job for name, job in registered().items() if job.run.__module__.startswith(f"{__name__}.")}


def load_subscriptions() -> dict[str, Subscription]:
    """Import every module of this package and return the declared subscriptions by name."""
    _import_all()
    return {name: each for name, each in subscribed().items() if each.run.__module__.startswith(f"{__name__}.")}


def _import_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
