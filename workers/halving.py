"""Running a function over commands in one transaction, so that what fails is told apart.

Invariant: a data error goes back to the savepoint and halves the commands, claims kept, until the culprit is alone;
what was undone leaves nothing, follow-ups included. Infrastructure errors are the caller's.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from domain.journal.declare import LockFirst
from domain.journal.model import Claimed, Faulted, NewCommand
from infra import postgres

SAVEPOINT = "SAVEPOINT batch"
BACK_TO_SAVEPOINT = "ROLLBACK TO SAVEPOINT batch"

Result = tuple[Sequence[Any], Sequence[NewCommand]]
"""An outcome for each command, and what is to follow."""
Run = Callable[[Sequence[Claimed[Any]], bool], Awaitable[Result]]
"""Runs commands, with their hot rows locked first or not."""


async def run_by_halves(
    conn: Any, commands: Sequence[Claimed[Any]], run: Run, *, lock_first: bool = False
) -> tuple[list[tuple[Claimed[Any], Any]], list[NewCommand]]:
    """Run commands from the savepoint taken last; return each with its outcome, and the commands that follow."""
    try:
        outcomes, follow_ups = await run(commands, lock_first)
        if len(outcomes) != len(commands):
            raise RuntimeError(f"{len(outcomes)} outcomes for {len(commands)} commands")
    except LockFirst:
        if lock_first:
            raise
        await conn.execute(BACK_TO_SAVEPOINT)
        return await run_by_halves(conn, commands, run, lock_first=True)
    except Exception as error:
        if postgres.classify(error) is postgres.Failure.INFRASTRUCTURE:
            raise
        await conn.execute(BACK_TO_SAVEPOINT)
        if len(commands) == 1:
            return [(commands[0], Faulted(error=f"{type(error).__name__}: {error}"[:2000], cause=error))], []
        middle = len(commands) // 2
        first, first_follow = await run_by_halves(conn, commands[:middle], run, lock_first=lock_first)
        # Of the same name: it hides the first one, so that the second half can't undo what the first half wrote.
        await conn.execute(SAVEPOINT)
        second, second_follow = await run_by_halves(conn, commands[middle:], run, lock_first=lock_first)
        return first + second, first_follow + second_follow
    return list(zip(commands, outcomes, strict=True)), list(follow_ups)
