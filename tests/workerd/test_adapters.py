"""The adapters over the real D1, object storage, alarm, queues and bindings of workerd, one host test for each case.

A case that needs only a port runs over the host's SQLite as well: what the unit tests' fakes do is what the platform
does.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tests.unit.order.order_world import SqliteStorage
from tests.unit.sqlite_database import SqliteDatabase, migrations
from tests.workerd.cases import scratch
from tests.workerd.cases.collection import Case, collect

CASES = collect()

HOST_ADAPTERS: Mapping[str, Callable[[], Any]] = {
    "product_db": lambda: SqliteDatabase(migrations("product")),
    "inventory_db": lambda: SqliteDatabase(migrations("inventory")),
    "payment_db": lambda: SqliteDatabase(migrations("payment")),
    "order_db": lambda: SqliteDatabase(migrations("order")),
    "user_db": lambda: SqliteDatabase(migrations("user")),
    "scratch_db": lambda: SqliteDatabase(";\n".join(scratch.SCHEMA)),
    "storage": SqliteStorage,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_in_workerd(case: Case, worker: httpx.Client) -> None:
    answer = worker.post(f"/{case.name}")
    failure = answer.json()["failure"] if answer.is_success else answer.text
    if failure is not None:
        pytest.fail(failure, pytrace=False)


@pytest.mark.parametrize("case", [case for case in CASES if case.runs_on_the_host], ids=lambda case: case.name)
def test_on_the_host(case: Case) -> None:
    async def run() -> None:
        await case.load()(**{need: HOST_ADAPTERS[need]() for need in case.needs})

    asyncio.run(run())
