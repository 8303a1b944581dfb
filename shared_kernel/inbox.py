"""The inbox: an event's id is recorded in the transaction of its effect, so that it takes effect once.

Each schema that consumes events holds
`CREATE TABLE inbox (event_id TEXT PRIMARY KEY, received_at TEXT NOT NULL) STRICT, WITHOUT ROWID`.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from shared_kernel.clock import Clock, rfc3339
from shared_kernel.events import Event
from shared_kernel.sql import ConstraintViolated, Database, Statement
from shared_kernel.tracing import traced

_log = logging.getLogger(__name__)

RETRY_DELAY_SECONDS = 5


class Message(Protocol):
    """One message of a queue's batch."""

    body: str

    def ack(self) -> None:
        """Done: it is not delivered again."""

    def retry(self, delay_seconds: int) -> None:
        """Not done: deliver it again; after the queue's last retry it goes to the dead-letter queue."""


async def once(database: Database, event: Event, now: datetime, effect: Sequence[Statement]) -> bool:
    """Write the effect and the event's id in one transaction; False when that was done before."""
    key = _key(event)
    try:
        await database.batch([_record(key, now), *effect])
    except ConstraintViolated:
        if await database.text("SELECT event_id FROM inbox WHERE event_id = ?", key) is None:
            raise
        return False
    return True


async def consume(
    database: Database,
    messages: Iterable[Message],
    clock: Clock,
    handle: Callable[[Event], Awaitable[Sequence[Statement]]],
) -> None:
    """Handle a queue's batch: a message is acknowledged when it has had its effect, delivered again when not.

    `handle` gives the statements of an event's effect in this database, which are written together with its id, those
    of the whole batch in one transaction. What it does elsewhere is done once more when it broke before that, so it
    must be something that may be repeated.
    """
    received = _by_event(messages)
    try:
        known = await _recorded(database, list(received))
    except Exception:
        for _, copies in received.values():
            _deliver_again(copies)
        return
    effects: dict[str, Sequence[Statement]] = {}
    for key, (event, copies) in received.items():
        with traced(event.traceparent):
            try:
                effects[key] = () if key in known else await handle(event)
            except Exception:
                _deliver_again(copies, event)
    if await _written_together(database, {key: effects[key] for key in effects if key not in known}, clock()):
        known |= effects.keys()
    for key, effect in effects.items():
        event, copies = received[key]
        with traced(event.traceparent):
            try:
                # One that cannot be written does not keep the others of its batch from it.
                if key not in known:
                    await once(database, event, clock(), effect)
            except Exception:
                _deliver_again(copies, event)
            else:
                for message in copies:
                    message.ack()
                _log.info("an event was handled", extra=_told(event))


def _by_event(messages: Iterable[Message]) -> dict[str, tuple[Event, list[Message]]]:
    """The messages that can be read, those of the same event together; the others are delivered again."""
    received: dict[str, tuple[Event, list[Message]]] = {}
    for message in messages:
        try:
            event = Event.model_validate_json(message.body)
        except ValidationError:
            _deliver_again([message])
        else:
            received.setdefault(_key(event), (event, []))[1].append(message)
    return received


async def _recorded(database: Database, keys: Sequence[str]) -> set[str]:
    sql = "SELECT event_id FROM inbox WHERE event_id IN (SELECT value FROM json_each(?))"
    return {str(row["event_id"]) for row in await database.rows(sql, json.dumps(keys))}


async def _written_together(database: Database, effects: Mapping[str, Sequence[Statement]], now: datetime) -> bool:
    statements = [each for key, effect in effects.items() for each in (_record(key, now), *effect)]
    try:
        if statements:
            await database.batch(statements)
    except Exception:
        _log.exception("a batch of events could not be written together; they are written one by one")
        return False
    return True


def _deliver_again(copies: Iterable[Message], event: Event | None = None) -> None:
    _log.exception("a message was not handled and will be delivered again", extra=_told(event))
    for message in copies:
        message.retry(RETRY_DELAY_SECONDS)


def _told(event: Event | None) -> dict[str, dict[str, str]]:
    return {"fields": {} if event is None else {"event": event.type, "event_id": event.id, "subject": event.subject}}


def _key(event: Event) -> str:
    return f"{event.source}#{event.id}"


def _record(key: str, now: datetime) -> Statement:
    return Statement("INSERT INTO inbox (event_id, received_at) VALUES (?, ?)", (key, rfc3339(now)))
