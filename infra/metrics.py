"""Every metric there is: its name, what it says, its labels.

Invariant: labels are bounded and say nothing of a person: a route's template (never a path), a status, a job, a lane, a
party, a code, a currency. What happens is counted in the process where it happens (``Counter``, ``Histogram``,
``Gauge``); what the database knows is read when somebody asks (``Figure``, ``infra.figures``).

Names follow Prometheus' own rules: base units, ``_total`` for what only grows. Money is in minor units of its currency.
"""

from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.journal.tally import Tally

# When each series began: twice as many of them, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
"""What this process counts. Where several share a port, ``infra.exposition`` adds up theirs instead."""

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
# There are many routes, and each has all of these.
_OF_ROUTES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
_JOB = ("job", "lane")


class Described(Struct, frozen=True):
    """What a metric is: a counter, a gauge or a histogram; what it says; its labels."""

    kind: str
    says: str
    labels: tuple[str, ...]


METRICS: dict[str, Described] = {}
"""Each metric by the name that queries use; a histogram by its name without the suffixes."""


def _counter(name: str, says: str, *labels: str) -> Counter:
    METRICS[f"ordermill_{name}_total"] = Described("counter", says, labels)
    return Counter(f"ordermill_{name}", says, labels, registry=REGISTRY)


def _histogram(name: str, says: str, *labels: str, buckets: tuple[float, ...] = _FAST) -> Histogram:
    METRICS[f"ordermill_{name}"] = Described("histogram", says, labels)
    return Histogram(f"ordermill_{name}", says, labels, registry=REGISTRY, buckets=buckets)


def _gauge(name: str, says: str, *labels: str) -> Gauge:
    METRICS[f"ordermill_{name}"] = Described("gauge", says, labels)
    # Of several processes the highest counts, as long as they live.
    return Gauge(f"ordermill_{name}", says, labels, registry=REGISTRY, multiprocess_mode="livemax")


# --- HTTP -------------------------------------------------------------------------------------------------------

HTTP_REQUESTS = _counter("http_requests", "Requests answered.", "method", "route", "status")
HTTP_REQUEST_SECONDS = _histogram(
    "http_request_seconds",
    "Time to answer a request, what a client chose to wait included.",
    "method",
    "route",
    buckets=_OF_ROUTES,
)
ACCEPTED = _counter("accepted_commands", "Commands that requests wrote to the journal.", "job")
ACCEPT_COMMANDS = _histogram("accept_batch_commands", "Commands written to the journal by one insert.", buckets=_SIZES)
ACCEPT_SECONDS = _histogram("accept_seconds", "Time to write one group of commands to the journal, retries included.")

# --- Jobs -------------------------------------------------------------------------------------------------------

COMMANDS = _counter(
    "commands",
    "Commands that a worker is done with: succeeded, rejected, failed (parked) or deferred.",
    *_JOB,
    "outcome",
)
REJECTIONS = _counter("rejections", "Commands that a rule refused, by the code of the problem.", *_JOB, "code")
RETRIES = _counter("retries", "Commands that will be run again because a run of them came to nothing.", *_JOB)
BATCH_COMMANDS = _histogram("batch_commands", "Commands in a batch.", *_JOB, buckets=_SIZES)
BATCH_SECONDS = _histogram("batch_seconds", "Time from a batch's claim to its commit.", *_JOB)
BATCH_FAILURES = _counter(
    "batch_failures", "Batches that were rolled back, by what failed: infrastructure or data.", *_JOB, "kind"
)
TRIES = _counter(
    "effect_tries", "Tries of effects: answered, succeeded, rejected, try_again or put_off.", *_JOB, "answer"
)
TRY_SECONDS = _histogram("effect_try_seconds", "Time of one try of an effect.", *_JOB)

# --- Outside parties --------------------------------------------------------------------------------------------

BREAKER_OPEN = _gauge(
    "breaker_open",
    "How many circuit breakers of an outside party aren't closed: calls are held back. All webhooks are one party.",
    "party",
)
BREAKER_TRIPS = _counter("breaker_trips", "How often the circuit breaker of an outside party opened.", "party")

# --- Business ---------------------------------------------------------------------------------------------------

ORDERS_PLACED = _counter("orders_placed", "Orders placed.", "currency")
CAPTURED = _counter("captured_minor", "Money captured from buyers, in minor units.", "currency")
REFUNDED = _counter("refunded_minor", "Money given back to buyers, in minor units.", "currency")
ALARMS = _counter("alarms", "What a person has to look at: money that doesn't fit, by what it is.", "alarm")

TALLIED = {
    Tally.ORDERS_PLACED: ORDERS_PLACED,
    Tally.CAPTURED_MINOR: CAPTURED,
    Tally.REFUNDED_MINOR: REFUNDED,
    Tally.ALARMS: ALARMS,
}
"""Where each tally of a batch is counted."""


class Figure:
    """A gauge that is read from the database when somebody asks; several processes tell the same."""

    def __init__(self, name: str, says: str, *labels: str) -> None:
        self.name = f"ordermill_{name}"
        self.says = says
        self.labels = labels
        METRICS[self.name] = Described("gauge", says, labels)

    def family(self) -> GaugeMetricFamily:
        """The figure without a value yet."""
        return GaugeMetricFamily(self.name, self.says, labels=self.labels)


# --- What the database knows ------------------------------------------------------------------------------------

UP = Figure("up", "Whether something this process needs answers: postgresql, redis.", "dependency")
QUEUE_COMMANDS = Figure("queue_commands", "Commands waiting, counted up to 100,001.", *_JOB)
QUEUE_OLDEST_SECONDS = Figure(
    "queue_oldest_seconds", "How long the oldest command that is due has been waiting; 0 when none is due.", *_JOB
)
PARKED_COMMANDS = Figure("parked_commands", "Commands that could not be run and wait for an operator.", *_JOB)
LANE_PAUSED = Figure("lane_paused", "Whether an operator has paused a lane.", "lane")
LANE_WORKERS = Figure("lane_workers", "Live worker processes that serve a lane.", "lane")
PARTITION_DAYS_LEFT = Figure("partition_days_left", "Days ahead that the journal has partitions for.")
RESERVATIONS_ACTIVE = Figure("reservations_active", "Reservations that hold stock, counted up to 100,001.")
SUBSCRIPTION_LAG_EVENTS = Figure(
    "subscription_lag_events", "Events a subscription hasn't looked at, counted up to 10,001.", "subscription"
)
SUBSCRIPTION_LAG_SECONDS = Figure(
    "subscription_lag_seconds",
    "Age of the oldest event a subscription hasn't looked at; 0 without one.",
    "subscription",
)
SUBSCRIPTION_FAILURES = Figure("subscription_failures", "Events a subscription passed over.", "subscription")
SWEEP_TICK_AGE_SECONDS = Figure("sweep_tick_age_seconds", "How long ago a scheduler wrote a sweep's last tick.", "job")
SWEEP_LATE = Figure("sweep_late", "Whether a sweep's next tick should have come long ago.", "job")
AUDIT_VIOLATIONS = Figure("audit_violations", "Violations a check of the audit found when it was last run.", "check")
AUDIT_UNFINISHED = Figure("audit_unfinished", "Checks of the audit that didn't come to their end when last run.")
AUDIT_OLDEST_SECONDS = Figure(
    "audit_oldest_seconds", "How long ago the check was run that was run longest ago; absent before the first."
)
OVERSOLD_OFFERS = Figure(
    "oversold_offers", "Offers of which more was sold than there was, by the audit: always 0. Absent before the first."
)
PAYMENTS_OPEN = Figure("payments_open", "Payments that haven't ended, by state, counted up to 100,001 in all.", "state")


def about_this_process() -> Collector:
    """Its CPU time, memory and open files, as the kernel counts them."""
    return ProcessCollector(registry=None)
