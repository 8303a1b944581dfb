"""A database of no service: decides the tables in which the cases of the kernel's own adapters write."""

from datetime import UTC, datetime

from shared_kernel.events import Event, event
from shared_kernel.sql import Statement

SCHEMA = (
    "CREATE TABLE outbox (position INTEGER PRIMARY KEY, event TEXT NOT NULL, claimed_until TEXT) STRICT",
    "CREATE TABLE inbox (event_id TEXT PRIMARY KEY, received_at TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE effects (subject TEXT NOT NULL CHECK (subject <> 'impossible')) STRICT",
    "CREATE TABLE deliveries (queue TEXT NOT NULL, body TEXT NOT NULL) STRICT",
    """CREATE TABLE samples (
        name TEXT PRIMARY KEY, whole INTEGER CHECK (whole <> 13), fraction REAL, words TEXT UNIQUE, wanted TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE parts (sample TEXT NOT NULL REFERENCES samples (name)) STRICT",
    """CREATE TRIGGER samples_keep_their_name BEFORE UPDATE OF name ON samples
    BEGIN SELECT RAISE(ABORT, 'illegal change of a name'); END""",
)

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def thing_made(subject: str, note: str = "", id: str | None = None) -> Event:
    """The event that the test Worker publishes and hears."""
    return event(
        "thing.made",
        subject,
        {"note": note},
        id=id or f"evt-{subject}",
        at=NOW,
        source="/services/thing",
        traceparent=TRACEPARENT,
    )


def effect(subject: str) -> list[Statement]:
    """What the event about this subject does."""
    return [Statement("INSERT INTO effects (subject) VALUES (?)", (subject,))]
