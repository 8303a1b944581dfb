"""The boundary to JavaScript: the raw bindings, as the plain Python that the rest of the system sees.

The SDK's wrappers build new Python objects for each use of a binding; the raw ones cost a small part of
that, and lists cross as one JSON text. A raw call gives `jsnull`, never None, and wants it. No JavaScript
object is kept in a module's globals: each use looks its binding up anew.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import js
from pyodide.ffi import JsException, jsnull, to_js
from workers import import_from_javascript

from shared_kernel.clock import system_clock
from shared_kernel.errors import Unavailable
from shared_kernel.log_lines import log_line
from shared_kernel.outbox import Subscriptions, drain
from shared_kernel.rpc import CallFailed, NoAnswerInTime, Transport
from shared_kernel.sql import ConstraintViolated, Outcome, Row, SqlValue, Statement
from shared_kernel.tracing import present_traceparent, traced


def bindings() -> Any:
    """The Worker's environment: its bindings, variables and secrets, as raw JavaScript values."""
    return import_from_javascript("cloudflare:workers").env


def setting(name: str) -> str:
    """A variable or secret of this Worker; KeyError when it is not set."""
    value = getattr(bindings(), name, None)
    if not isinstance(value, str):
        raise KeyError(f"the setting {name} is missing")
    return value


def optional_setting(name: str) -> str | None:
    """A variable or secret of this Worker; None when it is not set, or empty."""
    value = getattr(bindings(), name, None)
    return value if isinstance(value, str) and value else None


def js_value(value: Any) -> Any:
    """The value as JavaScript has it: its dictionaries as plain objects, and not as Maps."""
    return to_js(value, dict_converter=js.Object.fromEntries)


def text_members(entries: Any) -> dict[str, str]:
    """What JavaScript iterates as pairs of texts, as headers are, in one crossing."""
    members: dict[str, str] = json.loads(js.JSON.stringify(js.Object.fromEntries(entries)))
    return members


def wait_until(work: Awaitable[Any]) -> None:
    """Let the work go on after the answer was sent, within the present trace, which JavaScript would not hand on."""
    import_from_javascript("cloudflare:workers").waitUntil(_in_trace(work, present_traceparent()))


async def _in_trace(work: Awaitable[Any], traceparent: str | None) -> None:
    with traced(traceparent):
        await work


class D1:
    """A D1 database; raises ConstraintViolated when its schema refuses a change.

    Every number is bound as a REAL. A column of type INTEGER makes it whole again, but `json_object('n', ?)`
    would write 5.0 for 5, and `typeof(?)` says real.
    """

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def rows(self, sql: str, *parameters: SqlValue) -> list[Row]:
        """All rows of a query, as dictionaries."""
        result = await _checked(self._prepared(sql, parameters).all())
        rows: list[Row] = json.loads(js.JSON.stringify(result.results))
        return rows

    async def text(self, sql: str, *parameters: SqlValue) -> str | None:
        """The first column of the first row; None where there is no row or it is null."""
        rows = await _checked(self._prepared(sql, parameters).raw())
        return str(rows[0][0]) if rows.length and rows[0][0] is not jsnull else None

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        """All statements in one transaction."""
        prepared = to_js([self._prepared(sql, parameters) for sql, parameters in statements])
        results = json.loads(js.JSON.stringify(await _checked(self._binding.batch(prepared))))
        return [Outcome(result.get("results") or [], result["meta"]["changes"]) for result in results]

    def _prepared(self, sql: str, parameters: Sequence[SqlValue]) -> Any:
        return self._binding.prepare(sql).bind(*map(_bindable, parameters))


class ObjectStorage:
    """A Durable Object's SQLite storage.

    Its statements run at once; a crash keeps all of those with no await between them, with an alarm that is
    set among them, or none (Durable Objects, "automatic write coalescing"). An exception is no crash: what ran
    before it is committed, unless it stood in a `transaction`.
    """

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    @staticmethod
    def of(context: Any) -> "ObjectStorage":
        """The storage of the object that the SDK gave this context."""
        return ObjectStorage(context._ctx.storage)

    def execute(self, sql: str, *parameters: SqlValue) -> list[Row]:
        """Run one statement and give its rows; ConstraintViolated when the schema refuses it."""
        try:
            rows: list[Row] = json.loads(
                js.JSON.stringify(self._storage.sql.exec(sql, *map(_bindable, parameters)).toArray())
            )
        except JsException as failure:
            raise _translated(failure) from failure
        return rows

    def transaction(self, work: Callable[[], None]) -> None:
        """Do the work; when it raises, its statements and the alarm it set are undone, and the exception goes on."""
        self._storage.transactionSync(work)

    def wake_at(self, moment_ms: int) -> None:
        """Set the object's one alarm, in place of the one before."""
        self._storage.setAlarm(moment_ms)


class QueueProducer:
    """A producer binding of a queue."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def send_batch(self, messages: Sequence[str]) -> None:
        """Send at most 100 texts in one request."""
        batch = [{"body": message, "contentType": "text"} for message in messages]
        await self._binding.sendBatch(js_value(batch))


def producer(name: str) -> QueueProducer:
    """The queue behind a producer binding of this Worker."""
    return QueueProducer(getattr(bindings(), name))


def subscriptions() -> Subscriptions:
    """Who wants which of this Worker's events, as the topology has it."""
    wanted: Subscriptions = json.loads(setting("SUBSCRIPTIONS"))
    return wanted


async def send_outbox(database: D1) -> None:
    """Send what this Worker's outbox holds to the queues that want it."""
    await drain(database, subscriptions(), producer, system_clock)


class QueueMessage:
    """A message that a queue delivered, whose body is text."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self.body = str(message.body)

    def ack(self) -> None:
        """Take it off the queue."""
        self._message.ack()

    def retry(self, delay_seconds: int) -> None:
        """Have it delivered again after the delay."""
        self._message.retry(js_value({"delaySeconds": delay_seconds}))


def transport(binding: Any) -> Transport:
    """A Service Binding as the transport of `shared_kernel.rpc`."""

    async def send(method: str, call: str, request: str, timeout_ms: int) -> str:
        cancel = js.AbortController.new()
        timeout = js.scheduler.wait(timeout_ms, js_value({"signal": cancel.signal}))
        try:
            answer = await js.Promise.race(to_js([getattr(binding, method)(call, request), timeout]))
        except JsException as failure:
            raise CallFailed(failure.name or "the call failed") from failure
        finally:
            cancel.abort()
        if not isinstance(answer, str):
            raise NoAnswerInTime(f"no answer within {timeout_ms} ms")
        return answer

    return send


async def fetch(
    method: str, url: str, headers: Mapping[str, str], body: str | None, timeout_seconds: float
) -> tuple[int, dict[str, str], str]:
    """One request out of the Worker, redirects not followed: status, headers by lower-case name, and text.

    CallFailed when no whole response came in time; it tells the kind of failure and nothing of the request.
    """
    options = {
        "method": method,
        "headers": dict(headers),
        "redirect": "manual",
        "signal": js.AbortSignal.timeout(max(1, int(timeout_seconds * 1000))),
    } | ({} if body is None else {"body": body})
    try:
        response = await js.fetch(url, js_value(options))
        text = await response.text()
    except JsException as failure:
        raise CallFailed(failure.name or "the call failed") from None
    return int(response.status), text_members(response.headers), str(text)


async def pause(seconds: float) -> None:
    """Wait."""
    await js.scheduler.wait(int(seconds * 1000))


class ConsoleHandler(logging.Handler):
    """Writes each log record as one JSON line to the Worker's console, where Workers Logs reads it."""

    _service: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; an exception goes with its traceback."""
        # Not while the Worker starts: the snapshot of that moment serves other Workers too.
        self._service = self._service or optional_setting("SERVICE") or "unknown"
        js.console.log(log_line(record, self._service))


def log_to_console() -> None:
    """Send every log record of this Worker to its console; called once, while the Worker starts."""
    # What no line tells is not looked for (Logging HOWTO, "Optimization"): it is half of a record's cost.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(handlers=[ConsoleHandler()], level=logging.INFO, force=True)


def _bindable(value: SqlValue) -> Any:
    if value is None:
        return jsnull
    # Pyodide makes a BigInt, which D1 refuses, of the one integer of that size that a number still holds exactly.
    return float(value) if isinstance(value, int) and abs(value) == 2**53 - 1 else value


async def _checked(promise: Awaitable[Any]) -> Any:
    try:
        return await promise
    except JsException as failure:
        raise _translated(failure) from failure


# What D1 says when the database itself is in order (Cloudflare D1, "Debug D1", the errors that may be retried).
_PASSING_TROUBLES = ("Network connection lost", "caused object to be reset", "reset because", "overloaded", "transient")


def _translated(failure: JsException) -> Exception:
    message = str(failure)
    if "SQLITE_CONSTRAINT" in message:
        return ConstraintViolated(message)
    if any(trouble in message for trouble in _PASSING_TROUBLES):
        return Unavailable("the database does not answer")
    return RuntimeError(message)
