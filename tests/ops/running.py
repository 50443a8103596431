"""Run what is queued of batch jobs, in this process."""

from typing import Any

import asyncpg

import jobs
from domain.limits import Limits
from infra.clock import new_id
from workers.batches import BatchRunner, Cursor


async def run_all(conn: Any, database_url: str, *names: str, limits: Limits | None = None) -> None:
    """Run the due commands of jobs, in this process."""
    async with asyncpg.create_pool(database_url, min_size=0, max_size=1) as control:
        for name in names:
            runner = BatchRunner(
                jobs.load()[name],
                limits=limits or Limits(),
                commands_max=500,
                rows_max=8_000,
                attempts_max=3,
                worker=new_id(),
                control=control,
            )
            cursor = Cursor()
            while (await runner.run(conn, cursor)).claimed:
                pass
