"""An event takes effect once, however often it is delivered; a failure is delivered again."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest

from shared_kernel.events import Event, event
from shared_kernel.inbox import RETRY_DELAY_SECONDS, after, consume, once
from shared_kernel.sql import ConstraintViolated, Statement
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


def test_an_effect_elsewhere_is_had_once_and_again_when_it_broke() -> None:
    database = SqliteDatabase(SCHEMA)
    tries: list[str] = []

    async def elsewhere() -> None:
        tries.append("tried")
        if len(tries) == 1:
            raise ConnectionError("elsewhere is away")

    with pytest.raises(ConnectionError):
        run(after(database, told(), lambda: NOW, elsewhere))
    assert run(after(database, told(), lambda: NOW, elsewhere)) is True
    assert run(after(database, told(), lambda: NOW, elsewhere)) is False
    assert len(tries) == 2


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


def test_each_message_of_a_batch_has_its_own_fate() -> None:
    messages = [Message(told(subject=subject).model_dump_json()) for subject in ("a", "broken", "c")]
    handled: list[str] = []

    async def handle(received: Event) -> None:
        if received.subject == "broken":
            raise RuntimeError("no")
        handled.append(received.subject)

    run(consume(messages, handle))
    assert handled == ["a", "c"]
    assert [message.fate for message in messages] == [["ack"], [f"retry in {RETRY_DELAY_SECONDS}"], ["ack"]]


@pytest.mark.parametrize(
    "body", ["", "{}", "nonsense", told().model_dump_json().replace('"1.0"', '"0.3"'), '{"id": "evt-1"}']
)
def test_what_is_not_an_event_is_neither_handled_nor_lost(body: str) -> None:
    handled: list[Event] = []

    async def handle(received: Event) -> None:
        handled.append(received)

    message = Message(body)
    run(consume([message], handle))
    assert (handled, message.fate) == ([], [f"retry in {RETRY_DELAY_SECONDS}"])
