"""Stock against a model of it, on rows: whatever is asked in whatever order, figures, holds and movements agree."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from domain.inventory.hold_model import EndHold, Ending, ExtendHold, HoldLine, ReserveStock
from domain.inventory.model import ExpireReservations
from domain.inventory.stock_model import SetStock, StockChange
from domain.journal.declare import Batch, LockFirst
from domain.journal.model import Claimed, Command, Rejected, Succeeded
from domain.limits import Limits
from infra.clock import new_id
from jobs.end_holds import end_holds
from jobs.expire_reservations import expire_reservations
from jobs.extend_holds import extend_holds
from jobs.place_orders import place_orders
from jobs.reserve_stock import reserve_stock
from jobs.set_stock import set_stock
from ops.goods import NewSeller
from tests.builders import offer, place, write_in_transaction

BUYER = uuid4()
UNITS = st.integers(0, 12)
SOME = st.integers(1, 6)


class Model:
    """What stock should be: three figures and the holds that are made of them, each until a moment."""

    def __init__(self, on_hand: int) -> None:
        self.on_hand, self.backorder = on_hand, 0
        self.active: dict[Any, tuple[int, float]] = {}

    @property
    def reserved(self) -> int:
        return sum(units for units, _ in self.active.values())

    @property
    def available(self) -> int:
        return self.on_hand + self.backorder - self.reserved

    def expire(self, holds: set[Any]) -> None:
        for held in holds:
            del self.active[held]


class Stockroom(RuleBasedStateMachine):
    """One offer, asked for everything; time passes only when the machine says so."""

    url = ""
    holds: Any = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.conn: Any = self.do(asyncpg.connect(self.url))
        self.transaction = self.conn.transaction()
        self.do(self.transaction.start())
        self.start = datetime.now(UTC)
        self.clock = 0.0

    def do(self, awaitable: Any) -> Any:
        return self.runner.run(awaitable)

    def teardown(self) -> None:
        self.do(self.transaction.rollback())
        self.do(self.conn.close())
        self.runner.close()

    @initialize(units=UNITS)
    def open(self, units: int) -> None:
        seller = NewSeller(new_id(), "Seller")
        self.offer = offer(seller, units=units)
        self.do(write_in_transaction(self.conn, [seller], [self.offer]))
        self.key = (self.offer.variant_id, seller.id)
        self.model = Model(units)

    def run(self, job: Any, command: Command) -> Any:
        return self.do(self._run(job, command))

    async def _run(self, job: Any, command: Command) -> Any:
        now = self.start + timedelta(seconds=self.clock)
        claimed = Claimed(new_id(), BUYER, 0, "", now, command)
        for lock_first in (False, True):
            batch = Batch(self.conn, [claimed], now=now, limits=Limits(), lock_first=lock_first, new_id=new_id)
            try:
                async with self.conn.transaction():
                    (outcome,) = await job.run(batch)
                    return outcome
            except LockFirst:
                continue
        raise AssertionError("the job asked for its locks twice")

    @rule(target=holds, units=SOME, seconds=st.integers(10, 300))
    def reserve(self, units: int, seconds: int) -> Any:
        outcome = self.run(reserve_stock, ReserveStock((HoldLine(*self.key, units),), seconds))
        return self._took(outcome, units, self.clock + seconds, lambda result: result.reservations[0].id)

    @rule(units=SOME)
    def order(self, units: int) -> None:
        outcome = self.run(place_orders, place(self.offer, quantity=units))
        self._took(outcome, units, self.clock + Limits().reservation_seconds, lambda result: result.order_id)

    def _took(self, outcome: Any, units: int, until: float, name: Any) -> Any:
        """What was asked for is held if it is there, once what is due has been taken back as far as it was needed."""
        due = {held for held, (_, ends) in self.model.active.items() if ends <= self.clock}
        self.model.expire(gone := self._expired_of(due))
        assert isinstance(outcome, Succeeded) is (self.model.available >= units)
        if isinstance(outcome, Rejected):
            assert gone == due, "nothing is refused for what is due"
            return None
        held = name(outcome.result)
        self.model.active[held] = (units, until)
        return held

    def _expired_of(self, holds: set[Any]) -> set[Any]:
        gone = "SELECT coalesce(order_id, id) AS id FROM reservations WHERE status = 'expired' AND variant_id = $1"
        return holds & {row["id"] for row in self.do(self.conn.fetch(gone, self.key[0]))}

    @rule(held=holds, ending=st.sampled_from(Ending))
    def end(self, held: Any, ending: Ending) -> None:
        if held is None:
            return
        outcome = self.run(end_holds, EndHold(held, ending))
        units, until = self.model.active.get(held, (0, 0.0))
        stands = units > 0 and until > self.clock
        assert isinstance(outcome, Succeeded) is stands
        if stands:
            del self.model.active[held]
            self.model.on_hand -= units if ending is Ending.CONFIRMED else 0

    @rule(held=holds, seconds=st.integers(1, 600))
    def extend(self, held: Any, seconds: int) -> None:
        if held is None:
            return
        outcome = self.run(extend_holds, ExtendHold(held, seconds))
        units, until = self.model.active.get(held, (0, 0.0))
        stands = units > 0 and until > self.clock
        assert isinstance(outcome, Succeeded) is stands
        if stands:
            self.model.active[held] = (units, max(until, self.clock + seconds))

    @rule(units=UNITS, backorder=st.none() | UNITS, force=st.booleans())
    def count(self, units: int, backorder: int | None, force: bool) -> None:
        self._change(StockChange("counted", on_hand=units, backorder_limit=backorder, force=force), units)

    @rule(delta=st.integers(-8, 8), force=st.booleans())
    def adjust(self, delta: int, force: bool) -> None:
        self._change(StockChange("adjusted", delta=delta, force=force), self.model.on_hand + delta)

    def _change(self, change: StockChange, on_hand: int) -> None:
        outcome = self.run(set_stock, SetStock(*self.key, change))
        backorder = self.model.backorder if change.backorder_limit is None else change.backorder_limit
        short = max(0, self.model.reserved - on_hand - backorder)
        assert isinstance(outcome, Succeeded) is (change.force or not short)
        if isinstance(outcome, Succeeded):
            assert outcome.result.forced == short
            self.model.on_hand, self.model.backorder = on_hand, backorder + short

    @rule(seconds=st.integers(1, 400))
    def wait(self, seconds: int) -> None:
        self.clock += seconds

    @rule()
    def sweep(self) -> None:
        self.run(expire_reservations, ExpireReservations())
        self.model.expire({held for held, (_, until) in self.model.active.items() if until <= self.clock})

    @invariant()
    def figures_holds_and_movements_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        row = self.do(self.conn.fetchrow("SELECT * FROM stock WHERE variant_id = $1", self.key[0]))
        figures = (row["on_hand"], row["reserved"], row["backorder_limit"])
        assert figures == (self.model.on_hand, self.model.reserved, self.model.backorder)
        sums = self.do(
            self.conn.fetchrow(
                "SELECT sum(on_hand_delta), sum(reserved_delta) FROM movements WHERE variant_id = $1", self.key[0]
            )
        )
        assert (sums[0] or 0, sums[1] or 0) == figures[:2]
        assert row["reserved"] <= row["on_hand"] + row["backorder_limit"]


@pytest.fixture
def stockroom(rows_database: str) -> type[Stockroom]:
    return type("Room", (Stockroom,), {"url": rows_database})


def test_stock_is_what_a_model_of_it_says_whatever_is_asked_in_whatever_order(stockroom: type[Stockroom]):
    few = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    run_state_machine_as_test(stockroom, settings=few)
