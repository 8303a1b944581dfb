"""The test Worker: runs a case where it is asked to, and is the other side that some cases need."""

import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import js
from pyodide.ffi import to_js
from workers import DurableObject, WorkerEntrypoint

from shared_kernel.clock import system_clock
from shared_kernel.cloudflare import D1, ObjectStorage, QueueMessage, QueueProducer, bindings, log_to_console, transport
from shared_kernel.errors import Conflict
from shared_kernel.events import Event
from shared_kernel.inbox import consume
from shared_kernel.rpc import Call, serves
from shared_kernel.sql import Database, Statement
from tests.workerd.cases import collection, scratch
from tests.workerd.cases.contract import Answer, Ask
from tests.workerd.cases.contract import Other as OtherContract

DATABASES = ("product", "inventory", "payment", "order", "user")
DEAD_LETTERS = "adapters-dlq"
DAWDLING_MS = 2000

log_to_console()
logging.getLogger("shared_kernel").setLevel(logging.CRITICAL)

Givers = Mapping[str, Callable[[], Awaitable[Any]]]


class Default(WorkerEntrypoint):
    """Runs cases, and consumes both queues."""

    async def fetch(self, request: Any) -> Any:
        """`/health`, or the path of a case: answers `{"failure": its traceback or null, "told": what it answered}`."""
        path = unquote(urlsplit(request.js_object.url).path).removeprefix("/")
        if path == "health":
            return _json({"status": "ok"})
        case = next(each for each in collection.collect() if each.name == path)
        if "storage" not in case.needs:
            return _json(await _run(case, _GIVERS))
        objects = bindings().OBJECTS
        # An object of its own for each run, so that its storage is empty.
        return _json(json.loads(await objects.get(objects.newUniqueId()).run_case(case.name)))

    async def queue(self, batch: Any, env: Any = None, ctx: Any = None) -> None:
        """Record what was delivered, then let an event have its effect; a poisonous one never has it."""
        database = D1(bindings().SCRATCH_DB)
        messages = [QueueMessage(message) for message in batch.messages]
        sql = "INSERT INTO deliveries (queue, body) VALUES (?, ?)"
        await database.batch([Statement(sql, (batch.queue, message.body)) for message in messages])
        if batch.queue == DEAD_LETTERS:
            for message in messages:
                message.ack()
            return

        async def effect(event: Event) -> list[Statement]:
            if event.subject.startswith("poison"):
                raise RuntimeError("this event cannot be handled")
            return scratch.effect(event.subject)

        await consume(database, messages, system_clock, effect)


class _Told:
    def __init__(self, call: Call) -> None:
        self._call = call

    async def ask(self, request: Ask) -> Answer:
        match request.manner:
            case "refuse":
                raise Conflict("as told", code="refused_as_told", details={"words": request.words})
            case "break":
                raise RuntimeError("a secret of the other side")
            case "dawdle":
                await js.scheduler.wait(DAWDLING_MS)
        return Answer(words=request.words, principal=self._call.principal.id)


@serves(OtherContract, _Told)
class Other(WorkerEntrypoint):
    """The other side of a Service Binding; besides the contract's method, ways in which none should answer."""

    async def dawdle(self, _call: str, _request: str) -> str:
        """Answer when nobody waits any more."""
        await js.scheduler.wait(DAWDLING_MS)
        return "+1"

    async def explode(self, _call: str, _request: str) -> str:
        """Let an exception out."""
        raise RuntimeError("this should have been an envelope")

    async def count(self, _call: str, _request: str) -> int:
        """Answer something that is no text."""
        return 7


class StorageObject(DurableObject):
    """Runs the cases that need an object's storage; each alarm leaves a row behind."""

    async def run_case(self, name: str) -> str:
        """The report as JSON text."""
        case = next(each for each in collection.collect() if each.name == name)

        async def storage() -> ObjectStorage:
            return ObjectStorage.of(self.ctx)

        return json.dumps(await _run(case, {**_GIVERS, "storage": storage}))

    async def alarm(self, info: Any = None) -> None:
        """Record that it went off."""
        storage = ObjectStorage.of(self.ctx)
        storage.execute("CREATE TABLE IF NOT EXISTS alarms (position INTEGER PRIMARY KEY) STRICT")
        storage.execute("INSERT INTO alarms DEFAULT VALUES")


async def _run(case: collection.Case, givers: Givers) -> dict[str, Any]:
    try:
        told = await case.load()(**{need: await givers[need]() for need in case.needs})
    except Exception as failure:
        # With the local variables, because an assertion here does not say what it compared.
        trace = traceback.TracebackException.from_exception(failure, capture_locals=True)
        return {"failure": "".join(trace.format())}
    return {"failure": None, "told": told}


def _json(value: object) -> Any:
    init = to_js({"headers": {"content-type": "application/json"}}, dict_converter=js.Object.fromEntries)
    return js.Response.new(json.dumps(value), init)


def _service_database(service: str) -> Callable[[], Awaitable[Database]]:
    async def empty() -> Database:
        database = D1(getattr(bindings(), f"{service.upper()}_DB"))
        tables = await _tables(database)
        triggers = await database.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        # The schema keeps some rows for ever, so its triggers stand aside while a case before is forgotten.
        await database.batch(
            [
                Statement("PRAGMA defer_foreign_keys = on"),
                *(Statement(f"DROP TRIGGER {trigger['name']}") for trigger in triggers),
                *(Statement(f"DELETE FROM {table}") for table in tables),
                *(Statement(str(trigger["sql"])) for trigger in triggers),
            ]
        )
        return database

    return empty


async def _scratch_database() -> Database:
    database = D1(bindings().SCRATCH_DB)
    tables = await _tables(database)
    drops = [Statement(f"DROP TABLE {table}") for table in tables]
    await database.batch(
        [Statement("PRAGMA defer_foreign_keys = on"), *drops, *(Statement(sql) for sql in scratch.SCHEMA)]
    )
    return database


async def _tables(database: Database) -> list[str]:
    rows = await database.rows(
        r"""SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'd1_migrations'
        AND name NOT LIKE '\_cf\_%' ESCAPE '\' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"""
    )
    return [str(row["name"]) for row in rows]


async def _queue() -> QueueProducer:
    return QueueProducer(bindings().ADAPTERS_INBOX)


async def _other() -> Any:
    return transport(bindings().OTHER)


_GIVERS: Givers = {
    **{f"{service}_db": _service_database(service) for service in DATABASES},
    "scratch_db": _scratch_database,
    "queue": _queue,
    "other": _other,
}
