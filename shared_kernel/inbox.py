"""The inbox: an event's id is recorded in the transaction of its effect, so that it takes effect once.

Each schema that consumes events holds
`CREATE TABLE inbox (event_id TEXT PRIMARY KEY, received_at TEXT NOT NULL) STRICT, WITHOUT ROWID`.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from shared_kernel.clock import rfc3339
from shared_kernel.events import Event
from shared_kernel.sql import ConstraintViolated, Database, Statement

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
    key = f"{event.source}#{event.id}"
    record = Statement("INSERT INTO inbox (event_id, received_at) VALUES (?, ?)", (key, rfc3339(now)))
    try:
        await database.batch([record, *effect])
    except ConstraintViolated:
        if await database.text("SELECT event_id FROM inbox WHERE event_id = ?", key) is None:
            raise
        return False
    return True


async def after(
    database: Database, event: Event, now: Callable[[], datetime], effect: Callable[[], Awaitable[object]]
) -> bool:
    """Have an effect that lies outside of the database, then record the event; False when it was recorded before.

    What breaks in between has the effect once more, so it must be one that may be repeated.
    """
    key = f"{event.source}#{event.id}"
    if await database.text("SELECT event_id FROM inbox WHERE event_id = ?", key) is not None:
        return False
    await effect()
    return await once(database, event, now(), [])


async def consume(messages: Iterable[Message], handle: Callable[[Event], Awaitable[None]]) -> None:
    """Handle each message by itself: acknowledged when it has had its effect, delivered again when not."""
    for message in messages:
        try:
            await handle(Event.model_validate_json(message.body))
        except Exception:
            _log.exception("a message was not handled and will be delivered again")
            message.retry(RETRY_DELAY_SECONDS)
        else:
            message.ack()
