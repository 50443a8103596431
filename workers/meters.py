"""What a job's runs came to, counted.

Invariant: labels are resolved when a runner is made, and a batch costs a few additions, however many commands it has.
What isn't committed isn't counted.
"""

from collections import Counter

from msgspec import Struct, field

from domain.journal.declare import Job
from domain.journal.model import (
    Answered,
    BatchOutcome,
    EffectOutcome,
    Rejected,
    Succeeded,
    TryAgain,
)
from domain.journal.tally import Tallies
from infra import metrics, postgres

OUTCOMES = ("succeeded", "rejected", "failed", "deferred")


class Counts(Struct):
    """How many commands ended how, by which codes they were refused, how many will be run again, what was tallied."""

    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    codes: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    tallies: Tallies = field(default_factory=dict)

    def end(self, outcome: BatchOutcome) -> None:
        """Count a command that is over."""
        match outcome:
            case Rejected(problem):
                self.outcomes["rejected"] += 1
                self.codes[problem.code.value] += 1
            case Succeeded():
                self.outcomes["succeeded"] += 1
            case _:
                raise TypeError(f"{type(outcome).__name__} is no end")


class Meter:
    """Counts for one job."""

    def __init__(self, job: Job) -> None:
        labels = self._labels = (job.name, job.lane.value)
        self._commands = {outcome: metrics.COMMANDS.labels(*labels, outcome) for outcome in OUTCOMES}
        self._retries = metrics.RETRIES.labels(*labels)
        self._sizes = metrics.BATCH_COMMANDS.labels(*labels)
        self._seconds = metrics.BATCH_SECONDS.labels(*labels)
        self._tries = metrics.TRY_SECONDS.labels(*labels)

    def batch(self, claimed: int, seconds: float, counts: Counts) -> None:
        """A batch has been committed."""
        self._sizes.observe(claimed)
        self._seconds.observe(seconds)
        self.ended(counts)

    def ended(self, counts: Counts) -> None:
        """Something has been committed."""
        for outcome, number in counts.outcomes.items():
            if number:
                self._commands[outcome].inc(number)
        for code, number in counts.codes.items():
            metrics.REJECTIONS.labels(*self._labels, code).inc(number)
        if counts.retries:
            self._retries.inc(counts.retries)
        for (what, label), amount in counts.tallies.items():
            metrics.TALLIED[what].labels(label).inc(amount)

    def failed(self, commands: int, kind: postgres.Failure) -> None:
        """A batch was rolled back; its commands are in the queue again."""
        self._retries.inc(commands)
        metrics.BATCH_FAILURES.labels(*self._labels, kind.value).inc()

    def tried(self, outcome: EffectOutcome, seconds: float) -> None:
        """An effect was tried."""
        self._tries.observe(seconds)
        metrics.TRIES.labels(*self._labels, answer_of(outcome)).inc()


def answer_of(outcome: EffectOutcome) -> str:
    """What a try of an effect came to, in a word."""
    match outcome:
        case Answered():
            return "answered"
        case Succeeded():
            return "succeeded"
        case Rejected():
            return "rejected"
        case TryAgain():
            return "try_again"
        case _:
            return "put_off"
