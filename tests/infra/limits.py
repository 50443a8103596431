"""What tests of limits share: a clock that stands until it is moved, and the Redis of the test or none."""

from infra.names import Names
from infra.scripts import Scripts
from tests.builders import SECRET_KEY

NOWHERE = "unix:///nonexistent/valkey.sock"
SECOND = 1_000_000
names = Names(SECRET_KEY)


class Clock:
    """Microseconds, as tests set them."""

    def __init__(self) -> None:
        self.now = 1_800_000_000 * SECOND

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


def scripts_on(url: str, clock: Clock | None = None) -> Scripts:
    """Scripts that wait for their answer, however busy the machine is."""
    return Scripts(url, clock=clock, answer_seconds_max=30)


async def closed(*scripts: Scripts) -> None:
    """Close what a test opened."""
    for each in scripts:
        await each.close()
