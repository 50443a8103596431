"""Says what it must not, in every way there is to say something: run by test_redaction.py."""

import asyncio
import logging
import sys
import threading
import warnings

from infra import telemetry
from infra.settings import read
from tests.builders import SECRET_KEY

EMAIL, CARD, PASSWORD = "ann.smith@example.com", "4242 4242 4242 4242", "hunter2-and-more"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLWl0"
API_KEY = "omk_0123456789abcdef0123456789abcdef_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
SECRETS = (EMAIL, CARD, PASSWORD, JWT, API_KEY)
SPOKEN = f"{EMAIL} paid by {CARD} with password={PASSWORD}, Bearer {JWT}, {API_KEY}, redis://ann:{PASSWORD}@host/1"


class Thing:
    """Tells all by its repr."""

    def __repr__(self) -> str:
        return f"Thing({SPOKEN})"


def fail() -> None:
    raise ValueError(SPOKEN)


def say_it_all() -> None:
    log = telemetry.logger()
    log.info(SPOKEN)
    log.info("by_name", email=EMAIL, password=PASSWORD, authorization=JWT, card_number=CARD, api_key=API_KEY)
    log.info("by_another_name", said=SPOKEN, raw=SPOKEN.encode(), thing=Thing())
    log.info("nested", deep={"users": [{"email": EMAIL, "notes": [SPOKEN, {EMAIL: (JWT,)}]}]})
    log.bind(said=SPOKEN).warning("bound")
    try:
        fail()
    except ValueError as error:
        log.error("raised", error=repr(error), exc_info=error)
        logging.getLogger("a.library").exception("it failed for %s", EMAIL)
    logging.getLogger("a.library").error("said %s %s", SPOKEN, {"token": JWT})
    warnings.warn(SPOKEN, stacklevel=1)
    telemetry.log_request("GET", f"/accounts/{EMAIL}/{JWT}", 404, 1.0, correlation="c", trace="")
    asyncio.run(forget_a_task())
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


async def forget_a_task() -> None:
    async def task() -> None:
        fail()

    forgotten = asyncio.ensure_future(task())
    await asyncio.wait([forgotten])
    del forgotten


if __name__ == "__main__":
    telemetry.configure(
        read({"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", "SECRET_KEY": SECRET_KEY}), "worker"
    )
    say_it_all()
    sys.stderr.flush()
    fail()
