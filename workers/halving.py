"""Running a function over commands or events in one transaction, so that what fails is told apart.

Invariant: a data error goes back to the savepoint and halves them, claims kept, until the culprit is alone;
what was undone leaves nothing, follow-ups included. Infrastructure errors are the caller's.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from domain.journal.declare import LockFirst
from domain.journal.model import Faulted, NewCommand
from infra import postgres

SAVEPOINT = "SAVEPOINT batch"
BACK_TO_SAVEPOINT = "ROLLBACK TO SAVEPOINT batch"

T = TypeVar("T")
Result = tuple[Sequence[Any], Sequence[NewCommand]]
"""An outcome for each, and what is to follow."""
Run = Callable[[Sequence[T], bool], Awaitable[Result]]
"""Runs some, with their hot rows locked first or not."""


async def run_by_halves(
    conn: Any, given: Sequence[T], run: Run[T], *, lock_first: bool = False
) -> tuple[list[tuple[T, Any]], list[NewCommand]]:
    """Run them from the savepoint taken last; return each with its outcome, and the commands that follow."""
    try:
        outcomes, follow_ups = await run(given, lock_first)
        if len(outcomes) != len(given):
            raise RuntimeError(f"{len(outcomes)} outcomes for {len(given)}")
    except LockFirst:
        if lock_first:
            raise
        await conn.execute(BACK_TO_SAVEPOINT)
        return await run_by_halves(conn, given, run, lock_first=True)
    except Exception as error:
        if postgres.classify(error) is postgres.Failure.INFRASTRUCTURE:
            raise
        await conn.execute(BACK_TO_SAVEPOINT)
        if len(given) == 1:
            return [(given[0], Faulted(error=f"{type(error).__name__}: {error}"[:2000], cause=error))], []
        middle = len(given) // 2
        first, first_follow = await run_by_halves(conn, given[:middle], run, lock_first=lock_first)
        # Of the same name: it hides the first one, so that the second half can't undo what the first half wrote.
        await conn.execute(SAVEPOINT)
        second, second_follow = await run_by_halves(conn, given[middle:], run, lock_first=lock_first)
        return first + second, first_follow + second_follow
    return list(zip(given, outcomes, strict=True)), list(follow_ups)
