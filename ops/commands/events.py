"""How subscriptions stand; make a read model anew from events, and play again what failed."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
from msgspec import Struct

from domain.insights.sql import PROJECTIONS
from domain.journal.event_reads import SubscriptionFigures, load_failures, load_subscriptions
from ops import target
from ops.output import CommandError, Output, json_option

if TYPE_CHECKING:
    from ops.rebuild import Rebuilt

SHOWN_MAX = 100


class SubscriptionList(Struct, frozen=True):
    """All subscriptions."""

    items: list[SubscriptionFigures]


class Failed(Struct, frozen=True):
    """An event that a subscription could not take."""

    subscription: str
    stream: UUID
    version: int
    type: str
    error: str


class FailureList(Struct, frozen=True):
    """Events that could not be taken, the oldest first; ``played`` of them have been now."""

    items: list[Failed]
    played: int = 0


@click.group("events", help=__doc__, invoke_without_command=True)
@target.data_option
@json_option
@click.pass_context
def command(context: click.Context, data: Path | None, output: Output) -> None:
    """List subscriptions, unless a subcommand says otherwise."""
    if context.invoked_subcommand is None:
        found = asyncio.run(_load(target.find(data)))
        output.table(
            ("subscription", "unread", "oldest s", "failed"),
            [(s.name, s.lag, None if s.oldest_seconds is None else round(s.oldest_seconds), s.failures) for s in found],
        )
        output.result(SubscriptionList(found))


@command.command()
@click.option("--projection", required=True, type=click.Choice(sorted(PROJECTIONS)), help="Which read model.")
@click.option("--swap", is_flag=True, help="Put what was made in the place of the one in use.")
@click.option("--restart", is_flag=True, help="Begin anew where an earlier run was broken off.")
@target.data_option
@json_option
def replay(projection: str, data: Path | None, output: Output, **said: bool) -> None:
    """Make a read model anew from all events and compare it; status 1 when it differs and isn't swapped in.

    Nobody has to stop for it: the read model in use goes on. A run that is broken off goes on where it was.
    """
    done = asyncio.run(_replay(target.find(data), projection, output, **said))
    for difference in done.sample:
        key = "/".join(difference.key.values())
        changed = [f"{n} {difference.used[n]} -> {now}" for n, now in difference.rebuilt.items()
                   if now != difference.used[n]]  # fmt: skip
        output.say(f"{key}: {', '.join(changed)}")
    verdict = f"{done.differing} of them differ" if done.differing else "the same"
    output.say(f"{projection}: {done.rows} rows made from events, {verdict}{'; swapped in' if done.swapped else ''}")
    output.result(done)
    if done.differing and not done.swapped:
        raise SystemExit(1)


@command.command()
@click.option("--subscription", help="Of one subscription only.")
@click.option("--play", is_flag=True, help="Hand them to their subscriptions once more; status 1 if any fails again.")
@target.data_option
@json_option
def failures(subscription: str | None, play: bool, data: Path | None, output: Output) -> None:  # noqa: FBT001 - click passes by name
    """List up to 100 events that subscriptions could not take, and why."""
    found = asyncio.run(_failures(target.find(data), subscription, play=play))
    output.table(
        ("subscription", "stream", "version", "type", "error"),
        [(each.subscription, each.stream, each.version, each.type, each.error) for each in found.items],
    )
    if play:
        output.say(f"{found.played} played again, {len(found.items)} left")
    output.result(found)
    if play and found.items:
        raise SystemExit(1)


async def _load(stack: target.Target) -> list[SubscriptionFigures]:
    async with target.connect(stack) as conn:
        return await load_subscriptions(conn)


async def _replay(stack: target.Target, name: str, output: Output, *, swap: bool, restart: bool) -> "Rebuilt":
    from domain.insights.rebuild_sql import drop  # noqa: PLC0415 - help imports none of it
    from infra import postgres  # noqa: PLC0415
    from ops.rebuild import Rebuild  # noqa: PLC0415

    async with target.connect(stack) as conn:
        try:
            if restart:
                async with postgres.transaction(conn):
                    await drop(conn, PROJECTIONS[name])
            with output.progress(f"reading events for {name}", total=1.0) as progress:
                reached = [0.0]

                def told(part: float) -> None:
                    progress.advance(part - reached[0])
                    reached[0] = part

                return await Rebuild(conn, PROJECTIONS[name], told).run(swap=swap)
        except Exception as error:
            if isinstance(error, CommandError) or postgres.classify(error) is postgres.Failure.DATA:
                raise
            raise CommandError(f"{str(error) or type(error).__name__}: run it again, it goes on where it was") from None


async def _failures(stack: target.Target, subscription: str | None, *, play: bool) -> FailureList:
    async with target.connect(stack) as conn:
        rows = await load_failures(conn, subscription, SHOWN_MAX)
        played = 0
        if play:
            for name in sorted({row["name"] for row in rows}):
                keys = [(row["stream"], row["version"]) for row in rows if row["name"] == name]
                played += await _play(conn, stack, name, keys)
            rows = await load_failures(conn, subscription, SHOWN_MAX)
    return FailureList(
        [Failed(row["name"], row["stream"], row["version"], row["type"], row["error"]) for row in rows], played
    )


async def _play(conn: Any, stack: target.Target, name: str, keys: list[tuple[UUID, int]]) -> int:
    import jobs  # noqa: PLC0415 - help imports none of it
    from domain.limits import Limits  # noqa: PLC0415
    from workers.subscriptions import play_again  # noqa: PLC0415

    declared = jobs.load_subscriptions().get(name)
    if declared is None:
        raise CommandError(f"there is no subscription {name} any more")
    report = await play_again(conn, declared, Limits(), keys)
    target.ring(stack, {(command.job, command.lane.value) for command in report.ring})
    return report.taken
