"""``docs/orders.md`` shows the transition tables as they are."""

import re

from domain.orders.lifecycle import FULFILMENT, PAYMENT
from domain.orders.model import Fulfilment, Payment
from ops.diagrams import PAGE, diagrams, drawn


def test_the_pages_diagrams_are_drawn_from_the_tables():
    page = PAGE.read_text("utf-8")
    assert page == drawn(page), "make diagrams draws them anew"
    for diagram in diagrams().values():
        assert diagram in page


def test_a_diagram_has_every_state_and_every_step():
    for name, table, states in (("payment", PAYMENT, Payment), ("fulfilment", FULFILMENT, Fulfilment)):
        arrows = re.findall(r"^    (\w+) --> (\w+): ", diagrams()[name], flags=re.MULTILINE)
        assert len(arrows) == sum(len(steps) for steps in table.values())
        assert {state for arrow in arrows for state in arrow} == {state.value for state in states}
