"""One order's events in the SQLite storage of its Durable Object.

The object holds one order, so the sequence alone is the key of an event. The tables are made by the first
write: reading an order that does not exist leaves nothing behind.
"""

import json
from collections.abc import Callable, Sequence
from typing import Protocol

from order.application.ports import Recorded, VersionConflict
from order.domain.events import read_event, write_event
from shared_kernel.events import Event
from shared_kernel.outbox import (
    CLAIM_SECONDS,
    LARGEST_BATCH,
    RELAYS_PER_DRAIN,
    Queue,
    Subscriptions,
    append,
    by_subscriber,
)
from shared_kernel.sql import ConstraintViolated, Row, SqlValue

FIRST_WAKE_SECONDS = 10

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS events (
        sequence INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        version INTEGER NOT NULL,
        occurred_at TEXT NOT NULL,
        actor TEXT NOT NULL,
        data TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE IF NOT EXISTS private (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS outbox (position INTEGER PRIMARY KEY, event TEXT NOT NULL) STRICT",
)
# One row of text instead of many rows of values: each value that crosses from JavaScript costs.
_ALL_EVENTS = """SELECT json_group_array(json_array(sequence, type, version, occurred_at, actor, data)) AS history
    FROM (SELECT * FROM events ORDER BY sequence)"""


class Storage(Protocol):
    """A Durable Object's storage, as `shared_kernel.cloudflare.ObjectStorage` gives it."""

    def execute(self, sql: str, *parameters: SqlValue) -> list[Row]:
        """Run one statement."""
        ...

    def transaction(self, work: Callable[[], None]) -> None:
        """Do the work, or none of it when it raises."""
        ...

    def wake_at(self, moment_ms: int) -> None:
        """Set the object's alarm."""
        ...


class StoredHistory:
    """The order's `History`, with its outbox: one for the object, as long as that is in memory."""

    def __init__(self, storage: Storage, now_ms: Callable[[], int]) -> None:
        self._storage = storage
        self._now_ms = now_ms
        self._sending_until_ms = 0

    def recorded(self) -> list[Recorded]:
        """All events by sequence; none where nothing was ever stored."""
        if not self._exists():
            return []
        text = self._storage.execute(_ALL_EVENTS)[0]["history"]
        return [
            Recorded(sequence, occurred_at, actor, read_event(kind, version, data))
            for sequence, kind, version, occurred_at, actor, data in json.loads(str(text))
        ]

    def version(self) -> int:
        """How many events there are, also where this code cannot read them: it may be older than its data."""
        if not self._exists():
            return 0
        return int(str(self._storage.execute("SELECT count(*) AS version FROM events")[0]["version"]))

    def append(self, recorded: Sequence[Recorded], outgoing: Sequence[Event]) -> None:
        """Store the events, what is to be published of them, and the alarm that sees to what follows."""
        self._storage.transaction(lambda: self._append(recorded, outgoing))

    def publish(self, event: Event) -> None:
        """Put an event into the outbox."""
        self._storage.execute(*_flat(append(event)))

    def private(self, key: str) -> str | None:
        """A secret of this order."""
        rows = self._storage.execute("SELECT value FROM private WHERE key = ?", key)
        return str(rows[0]["value"]) if rows else None

    def keep_private(self, key: str, value: str | None) -> None:
        """Store a secret, or forget it."""
        if value is None:
            self._storage.execute("DELETE FROM private WHERE key = ?", key)
        else:
            self._make_tables()
            self._storage.execute("INSERT OR REPLACE INTO private (key, value) VALUES (?, ?)", key, value)

    def wake(self) -> None:
        """Set the alarm to now."""
        self._storage.wake_at(self._now_ms())

    async def relay(self, subscriptions: Subscriptions, queue: Callable[[str], Queue]) -> bool:
        """Send what the outbox holds, then forget it; what a queue refuses stays for the next alarm.

        Answers whether nothing is left: not so while another call of this object is sending. That it is, is
        kept in memory, which ends with the object, and not for long, as a call may end in the middle.
        """
        if not self._exists():
            return True
        for _ in range(RELAYS_PER_DRAIN):
            rows = self._storage.execute("SELECT position, event FROM outbox ORDER BY position LIMIT ?", LARGEST_BATCH)
            if not rows:
                return True
            if self._now_ms() < self._sending_until_ms:
                return False
            until_ms = self._sending_until_ms = self._now_ms() + CLAIM_SECONDS * 1000
            try:
                for binding, events in by_subscriber([str(row["event"]) for row in rows], subscriptions).items():
                    await queue(binding).send_batch(events)
            finally:
                is_overtaken = self._sending_until_ms != until_ms
                if not is_overtaken:
                    self._sending_until_ms = 0
            if is_overtaken:
                # Somebody else sent these meanwhile, and others may stand at their positions.
                return False
            # Nothing waits between here and the next look, so what came in meanwhile is not left to nobody.
            for row in rows:
                self._storage.execute("DELETE FROM outbox WHERE position = ?", row["position"])
        return False

    def _append(self, recorded: Sequence[Recorded], outgoing: Sequence[Event]) -> None:
        self._make_tables()
        self._storage.wake_at(self._now_ms() + FIRST_WAKE_SECONDS * 1000)
        try:
            for each in recorded:
                self._storage.execute(
                    "INSERT INTO events (sequence, type, version, occurred_at, actor, data) VALUES (?, ?, ?, ?, ?, ?)",
                    each.sequence,
                    each.event.type,
                    each.event.version,
                    each.occurred_at,
                    each.actor,
                    write_event(each.event),
                )
        except ConstraintViolated as taken:
            raise VersionConflict("the order was changed in between") from taken
        for event in outgoing:
            self.publish(event)

    def _exists(self) -> bool:
        return bool(self._storage.execute("SELECT 1 AS found FROM sqlite_master WHERE name = 'events'"))

    def _make_tables(self) -> None:
        for table in _SCHEMA:
            self._storage.execute(table)


def _flat(statement: tuple[str, Sequence[SqlValue]]) -> tuple[str, *tuple[SqlValue, ...]]:
    return (statement[0], *statement[1])
