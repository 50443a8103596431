"""What a run of the bench is asked for and what it gives; the field names are the JSON's."""

from collections.abc import Mapping

from msgspec import Struct, field


class Sizes(Struct, frozen=True, kw_only=True):
    """How large each scenario is. ``seconds`` is what ``--seconds`` sets; tests make the rest small."""

    seconds: float = 30.0
    warm_up_seconds: float = 5.0
    offers: int = 10_000
    sellers: int = 100
    buyers: int = 300
    requests: int = 20_000
    """Different orders a scenario sends in turn, each sending under an Idempotency-Key of its own."""
    connections: int = 512
    queue_max: int = 256
    """Messages that may wait in ``per_message`` before its client holds back."""
    limit_connections: int = 32
    idle_orders: int = 400
    idle_pause_ms: tuple[int, int] = (20, 120)
    drain_commands: int = 20_000
    sellout_buyers: int = 5_000
    sellout_units: int = 500
    catalog_variants: tuple[int, int] = (10_000, 200_000)
    due_reservations: int = 1_000_000
    settled_orders: int = 100_000
    settled_sellers: int = 2_000
    webhook_events: int = 10_000
    listeners: int = 1_000
    paced_orders_per_second: int = 100
    paced_connections: int = 64


class Percentiles(Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p99: float


def percentiles(seconds: list[float]) -> Percentiles | None:
    """Put measured seconds into percentiles in milliseconds; None when nothing was measured."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return Percentiles(*(round(ordered[min(last, int(len(ordered) * share))] * 1000, 2) for share in (0.5, 0.99)))


class Resident(Struct, frozen=True):
    """Resident memory in MB, at its highest during the run: all processes of a role added up."""

    api: float
    worker: float


class Scenario(Struct, kw_only=True, omit_defaults=True):
    """One scenario's figures; what it doesn't measure is left out of the JSON.

    ``cores`` says how many cores each role kept busy, ``cpu_us_per_order`` the same per order in microseconds: of all
    figures the one that suffers least from what else runs on the machine. ``problems`` names what went wrong: each is
    an error of Ordermill, not a slow figure, and fails the run. Pages are by the number of variants in the catalog.
    """

    orders_per_second: float | None = None
    single_per_second: float | None = None
    """The same with batches of one."""
    accept_ms: Percentiles | None = None
    outcome_ms: Percentiles | None = None
    rss_mb: Resident | None = None
    rss_mb_processes: Mapping[str, list[float]] | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    one_worker_per_second: float | None = None
    two_workers_per_second: float | None = None
    saturates: str | None = None
    outcomes_per_second: float | None = None
    reservations_per_second: float | None = None
    settled_per_second: float | None = None
    """Seller orders that have settled, taken into a payout."""
    webhooks_per_second: float | None = None
    listeners_mb: float | None = None
    """By how much more memory the api has with its listeners."""
    undisturbed_ms: Percentiles | None = None
    """What ``outcome_ms`` is without the work that goes on meanwhile."""
    succeeded: int | None = None
    rejected: int | None = None
    first_page_ms: Mapping[str, Percentiles] | None = None
    filtered_page_ms: Mapping[str, Percentiles] | None = None
    product_per_second: float | None = None
    constant_per_second: float | None = None
    orders: int | None = None
    seconds: float | None = None
    cores: Mapping[str, float] | None = None
    cpu_us_per_order: Mapping[str, float] | None = None
    decide_us: float | None = None
    """What deciding one order of four lines takes of a processor, in microseconds."""
    cores_by_workers: Mapping[str, Mapping[str, float]] | None = None
    note: str | None = None
    problems: list[str] = field(default_factory=list)


class Limit(Struct, frozen=True, omit_defaults=True):
    """What one transaction per order inside PostgreSQL comes to on the same tables."""

    spread_per_second: float
    hot_per_second: float
    connections: int
    client: str


class Machine(Struct, frozen=True):
    """What it ran on. Figures of different machines don't compare; ratios do."""

    cpus: int
    cpu_model: str
    memory_gb: float
    python: str
    postgres: str
    valkey: str
    load_average_before: float
    note: str


class Report(Struct, kw_only=True, omit_defaults=True):
    """The whole run, as ``--json`` prints it; ``limit`` is left out when it wasn't run."""

    machine: Machine
    scenarios: dict[str, Scenario]
    ratios: dict[str, float]
    limit: Limit | None = None
