"""Hold a run's figures against their targets: what must be reached, and what is aimed at.

A miss is said and nothing more: a figure depends on the machine and on what else runs on it. What never depends on
them, that nothing is lost or oversold, decides the exit status instead.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from ops.bench.model import Report, Scenario


class Target(Struct, frozen=True):
    """A figure with its bounds; ``at_most`` turns them around."""

    name: str
    read: Callable[[Report], float | None]
    must: float
    aim: float | None = None
    at_most: bool = False


class Verdict(Struct, frozen=True):
    """How one figure stands: ``missed``, ``reached`` or, past the aim too, ``aim reached``."""

    name: str
    figure: float
    must: str
    aim: str
    says: str


def _api_mb(scenario: Scenario) -> float | None:
    return None if scenario.rss_mb is None else scenario.rss_mb.api


def _worker_mb(scenario: Scenario) -> float | None:
    return None if scenario.rss_mb is None else scenario.rss_mb.worker


def _scenario(name: str, read: Callable[[Scenario], float | None]) -> Callable[[Report], float | None]:
    def look(report: Report) -> float | None:
        scenario = report.scenarios.get(name)
        return None if scenario is None else read(scenario)

    return look


def _ratio(name: str) -> Callable[[Report], float | None]:
    return lambda report: report.ratios.get(name)


TARGETS: tuple[Target, ...] = (
    Target("spread, orders/s", _scenario("spread", lambda s: s.orders_per_second), 2_500, 5_000),
    Target("spread over per_message", _ratio("spread_over_per_message"), 5, 10),
    Target("hot over spread", _ratio("hot_over_spread"), 0.9),
    Target("hot over the hot limit", _ratio("hot_over_limit"), 1.2, 3),
    Target("idle p50, ms", _scenario("idle", lambda s: s.p50_ms), 10, 4, at_most=True),
    Target("idle p99, ms", _scenario("idle", lambda s: s.p99_ms), 40, at_most=True),
    Target("drain, two workers over one", _ratio("drain_two_over_one"), 1.3),
    Target("sellout over hot", _ratio("sellout_over_hot"), 0.8),
    Target("first page, large over small, p99", _ratio("first_page_large_over_small"), 2, at_most=True),
    Target("filtered page, large over small, p99", _ratio("filtered_page_large_over_small"), 2, at_most=True),
    Target("product over constant", _ratio("product_over_constant"), 0.6),
    Target("pricing over spread", _ratio("pricing_over_spread"), 0.7),
    Target(
        "deciding an order with 1,000 rules, µs", _scenario("pricing", lambda s: s.decide_us), 150, 60, at_most=True
    ),
    Target("payment, orders/s", _scenario("payment", lambda s: s.orders_per_second), 800),
    Target("payment over batches of one", _ratio("payment_over_single"), 4),
    Target("lifecycle, orders/s", _scenario("lifecycle", lambda s: s.orders_per_second), 300),
    Target("expiry, reservations/s", _scenario("expiry", lambda s: s.reservations_per_second), 20_000),
    Target("placing p99, expiring over alone", _ratio("placing_p99_expiring_over_alone"), 2, at_most=True),
    Target("payouts, 100,000 seller orders, s", _scenario("payouts", lambda s: s.seconds), 10, at_most=True),
    Target("webhooks/s to a fast receiver", _scenario("webhooks", lambda s: s.webhooks_per_second), 500),
    Target("listeners, api MB more", _scenario("listeners", lambda s: s.listeners_mb), 100, at_most=True),
    Target("placing p99, listened to over alone", _ratio("placing_p99_listened_to_over_alone"), 1.5, at_most=True),
    Target("spread, api MB", _scenario("spread", _api_mb), 200, at_most=True),
    Target("spread, worker MB", _scenario("spread", _worker_mb), 300, at_most=True),
)


def verdicts(report: Report) -> list[Verdict]:
    """Judge every figure that was measured."""
    found: list[Verdict] = []
    for target in TARGETS:
        figure = target.read(report)
        if figure is not None:
            found.append(_judge(target, figure))
    return found


def _judge(target: Target, figure: float) -> Verdict:
    def reached(bound: float) -> bool:
        return figure <= bound if target.at_most else figure >= bound

    says = "missed"
    if reached(target.must):
        says = "aim reached" if target.aim is not None and reached(target.aim) else "reached"
    sign = "≤" if target.at_most else "≥"
    aim = "" if target.aim is None else f"{sign} {target.aim:,g}"
    return Verdict(target.name, figure, f"{sign} {target.must:,g}", aim, says)


def figures(report: Report) -> list[tuple[str, str]]:
    """Each scenario in one line for a person: its name and what was measured."""
    lines = [(name, _line(scenario)) for name, scenario in report.scenarios.items()]
    if report.limit is not None:
        limit = report.limit
        text = f"spread {limit.spread_per_second:,.0f}/s, hot {limit.hot_per_second:,.0f}/s"
        lines.append(("limit", f"{text}, {limit.connections} connections, {limit.client}"))
    return lines


def _line(scenario: Scenario) -> str:
    parts: list[str] = []
    for value, form in (
        (scenario.orders_per_second, "{:,.0f} orders/s"),
        (scenario.single_per_second, "{:,.0f} in batches of one"),
        (scenario.outcomes_per_second, "{:,.0f} outcomes/s"),
        (scenario.reservations_per_second, "{:,.0f} reservations/s"),
        (scenario.webhooks_per_second, "{:,.0f} webhooks/s"),
        (scenario.listeners_mb, "{:,.0f} MB more for the listeners"),
        (scenario.one_worker_per_second, "one worker {:,.0f}/s"),
        (scenario.two_workers_per_second, "two workers {:,.0f}/s"),
        (scenario.succeeded, "{:,} placed"),
        (scenario.rejected, "{:,} refused"),
        (scenario.product_per_second, "product {:,.0f}/s"),
        (scenario.constant_per_second, "constant {:,.0f}/s"),
        (scenario.decide_us, "{:.0f} µs to decide an order"),
    ):
        if value is not None:
            parts.append(form.format(value))
    for name, measured in (
        ("accepted", scenario.accept_ms),
        ("outcome", scenario.outcome_ms),
        ("undisturbed", scenario.undisturbed_ms),
    ):
        if measured is not None:
            parts.append(f"{name} p50 {measured.p50:.1f} ms, p99 {measured.p99:.1f} ms")
    for name, pages in (("first page", scenario.first_page_ms), ("filtered page", scenario.filtered_page_ms)):
        for variants, measured in (pages or {}).items():
            parts.append(f"{name} of {int(variants):,} p50 {measured.p50:.1f} ms, p99 {measured.p99:.1f} ms")
    if scenario.rss_mb is not None:
        parts.append(f"api {scenario.rss_mb.api:.0f} MB, worker {scenario.rss_mb.worker:.0f} MB")
    if scenario.saturates is not None:
        parts.append(scenario.saturates)
    elif scenario.cores is not None:
        parts.append(f"cores: {_shares(scenario.cores, '{:.2f}')}")
    if scenario.cpu_us_per_order is not None:
        total = sum(scenario.cpu_us_per_order.values())
        parts.append(f"CPU per order {total:,.0f} µs: {_shares(scenario.cpu_us_per_order, '{:,.0f}')}")
    return "; ".join(parts)


def _shares(shares: Mapping[str, float], form: str) -> str:
    busiest_first = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{role} {form.format(share)}" for role, share in busiest_first if share)
