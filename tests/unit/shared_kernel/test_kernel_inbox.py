"""An event takes effect once, however often it is delivered; a failure is delivered again."""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from shared_kernel.events import Event, event
from shared_kernel.inbox import RETRY_DELAY_SECONDS, consume, once
from shared_kernel.sql import ConstraintViolated, Statement
from shared_kernel.tracing import present_traceparent
from tests.unit.sqlite_database import SqliteDatabase

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
SCHEMA = """
CREATE TABLE inbox (event_id TEXT PRIMARY KEY, received_at TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE effects (subject TEXT NOT NULL, CHECK (subject <> 'impossible')) STRICT;
"""


class Message:
    """A delivered message that remembers what became of it."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.fate: list[str] = []

    def ack(self) -> None:
        self.fate.append("ack")

    def retry(self, delay_seconds: int) -> None:
        self.fate.append(f"retry in {delay_seconds}")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def told(id: str = "evt-1", subject: str = "thing-1", source: str = "/services/thing") -> Event:
    return event("thing.made", subject, {}, id=id, at=NOW, source=source, traceparent="")


def effect(subject: str) -> list[Statement]:
    return [Statement("INSERT INTO effects (subject) VALUES (?)", (subject,))]


def effects(database: SqliteDatabase) -> list[Any]:
    return [row["subject"] for row in run(database.rows("SELECT subject FROM effects"))]


def test_the_same_event_takes_effect_once() -> None:
    database = SqliteDatabase(SCHEMA)
    assert run(once(database, told(), NOW, effect("a"))) is True
    assert run(once(database, told(), NOW, effect("b"))) is False
    assert effects(database) == ["a"]


def test_the_same_id_of_another_source_is_another_event() -> None:
    database = SqliteDatabase(SCHEMA)
    assert run(once(database, told(), NOW, effect("a"))) is True
    assert run(once(database, told(source="/services/other"), NOW, effect("b"))) is True
    assert effects(database) == ["a", "b"]


def test_an_effect_that_the_schema_refuses_is_raised_and_not_recorded() -> None:
    database = SqliteDatabase(SCHEMA)
    with pytest.raises(ConstraintViolated):
        run(once(database, told(), NOW, [*effect("a"), *effect("impossible")]))
    assert effects(database) == []
    assert run(once(database, told(), NOW, effect("b"))) is True


def test_an_event_that_another_delivery_wrote_at_the_same_moment_was_done_before() -> None:
    database = SqliteDatabase(SCHEMA)
    database.meanwhile = lambda: once(database, told(), NOW, effect("a"))
    assert run(once(database, told(), NOW, effect("b"))) is False
    assert effects(database) == ["a"]


ACKNOWLEDGED, AGAIN = ["ack"], [f"retry in {RETRY_DELAY_SECONDS}"]


class Consumer:
    """Has the effect of each event; the subject tells what goes wrong with it, and `elsewhere` who was handled."""

    def __init__(self) -> None:
        self.database = SqliteDatabase(SCHEMA)
        self.elsewhere: list[str] = []

    async def handle(self, received: Event) -> list[Statement]:
        if received.subject == "broken":
            raise RuntimeError("no")
        self.elsewhere.append(received.subject)
        return effect(received.subject)

    def consume(self, *bodies: str) -> list[list[str]]:
        messages = [Message(body) for body in bodies]
        run(consume(self.database, messages, lambda: NOW, self.handle))
        return [message.fate for message in messages]


def body(subject: str, id: str | None = None) -> str:
    return told(id or f"evt-{subject}", subject).model_dump_json()


def test_each_message_of_a_batch_has_its_own_fate() -> None:
    consumer = Consumer()
    fates = consumer.consume(body("a"), body("broken"), "nonsense", body("c"))
    assert fates == [ACKNOWLEDGED, AGAIN, AGAIN, ACKNOWLEDGED]
    assert effects(consumer.database) == ["a", "c"]


def test_an_effect_that_cannot_be_written_keeps_no_other_of_its_batch_from_it() -> None:
    consumer = Consumer()
    assert consumer.consume(body("a"), body("impossible"), body("c")) == [ACKNOWLEDGED, AGAIN, ACKNOWLEDGED]
    assert effects(consumer.database) == ["a", "c"]


def test_an_event_that_comes_again_is_acknowledged_and_has_no_effect_anywhere() -> None:
    consumer = Consumer()
    assert consumer.consume(body("a"), body("b"), body("a")) == [ACKNOWLEDGED] * 3
    assert consumer.consume(body("b"), body("c")) == [ACKNOWLEDGED] * 2
    assert (effects(consumer.database), consumer.elsewhere) == (["a", "b", "c"], ["a", "b", "c"])


def test_an_event_that_another_batch_wrote_meanwhile_is_acknowledged() -> None:
    consumer = Consumer()
    consumer.database.meanwhile = lambda: once(consumer.database, told("evt-a", "a"), NOW, effect("a"))
    assert consumer.consume(body("a"), body("b")) == [ACKNOWLEDGED] * 2
    assert effects(consumer.database) == ["a", "b"]


def test_nothing_is_handled_and_all_is_kept_while_the_database_is_away() -> None:
    consumer = Consumer()
    consumer.database.close()
    assert consumer.consume(body("a"), body("b")) == [AGAIN] * 2
    assert consumer.elsewhere == []


def test_each_event_is_handled_in_its_own_trace_and_leaves_a_line(caplog: pytest.LogCaptureFixture) -> None:
    traces = ["00-" + digit * 32 + "-b7ad6b7169203331-01" for digit in "123"]
    events = [told(f"evt-{trace[3]}", trace[3]).model_copy(update={"traceparent": trace}) for trace in traces]
    seen: list[str | None] = []

    async def handle(received: Event) -> list[Statement]:
        seen.append(present_traceparent())
        if received.subject == "2":
            raise RuntimeError("no")
        return []

    with caplog.at_level(logging.INFO):
        run(consume(Consumer().database, [Message(event.model_dump_json()) for event in events], lambda: NOW, handle))
    assert seen == traces
    assert present_traceparent() is None
    lines = [(record.levelname, vars(record)["fields"]["subject"]) for record in caplog.records]
    assert lines == [("ERROR", "2"), ("INFO", "1"), ("INFO", "3")]


@pytest.mark.parametrize(
    "body", ["", "{}", "nonsense", told().model_dump_json().replace('"1.0"', '"0.3"'), '{"id": "evt-1"}']
)
def test_what_is_not_an_event_is_neither_handled_nor_lost(body: str) -> None:
    consumer = Consumer()
    assert (consumer.consume(body), consumer.elsewhere) == ([AGAIN], [])
