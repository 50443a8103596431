"""A day of the journal that nobody made is our fault: clients hear 503 and try again, not 400."""

import asyncpg
import pytest

from domain import ids
from domain.journal.sql import insert_commands
from infra import postgres
from tests.builders import new, place, write_offers

pytestmark = pytest.mark.anyio


async def test_a_row_without_a_partition_is_an_error_of_the_infrastructure(conn):
    (offer,) = await write_offers(conn)
    long_ago = ids.compose(1, bytes(ids.ENTROPY_BYTES))
    with pytest.raises(asyncpg.CheckViolationError, match="no partition") as caught:
        await insert_commands(conn, [new(place(offer), command_id=long_ago)])
    assert postgres.classify(caught.value) is postgres.Failure.INFRASTRUCTURE


async def test_a_value_that_a_constraint_refuses_is_an_error_of_the_data(conn):
    await write_offers(conn)
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await conn.execute("UPDATE stock SET reserved = -1")
    assert postgres.classify(caught.value) is postgres.Failure.DATA
