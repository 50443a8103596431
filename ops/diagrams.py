"""The transition tables of orders as diagrams (Mermaid), the way ``docs/orders.md`` shows them.

Invariant: the page is made of the tables; a test compares the two, so neither can change alone.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from domain.orders.lifecycle import FULFILMENT, PAYMENT
from domain.orders.model import Fulfilment, Payment
from domain.transitions import State, Step

PAGE = Path(__file__).parent.parent / "docs" / "orders.md"
_BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def diagram(table: Mapping[State, Mapping[Step, State]], first: State) -> str:
    """A table as a state diagram: where it begins, every step, and the states nothing follows on."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.value}"]
    for state, steps in table.items():
        lines += [f"    {state.value} --> {following.value}: {_words(step)}" for step, following in steps.items()]
        if not steps:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join([*lines, "```"]) + "\n"


def _words(step: StrEnum) -> str:
    return step.value.replace("_", " ")


def diagrams() -> dict[str, str]:
    """Every diagram of the page, by the name its block has."""
    return {
        "payment": diagram(PAYMENT, Payment.UNPAID),
        "fulfilment": diagram(FULFILMENT, Fulfilment.AWAITING),
    }


def drawn(page: str) -> str:
    """The page with its diagrams as the tables have them now."""
    made = diagrams()
    return _BLOCK.sub(lambda block: f"{block[1]}{made[block[2]]}{block[3]}", page)


def main() -> None:
    """Write the page anew."""
    PAGE.write_text(drawn(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
