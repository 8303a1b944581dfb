"""What is written in the batch of a change in D1: its audit entries and its events."""

import json

from shared_kernel.outbox import append
from shared_kernel.sql import Statement
from user.application.ports import Told
from user.domain.audit import AuditEntry

_COLUMNS = "INSERT INTO audit (id, action, actor_id, subject_id, details, occurred_at)"


# An id is never NULL: where the statement before it in the batch changed no row, nothing of the batch is written.
REQUIRE_CHANGE = Statement("INSERT INTO audit (id) SELECT NULL WHERE changes() = 0")


def recorded(entry: AuditEntry) -> Statement:
    """The statement that writes the entry, for the batch of the change itself."""
    return Statement(f"{_COLUMNS} VALUES (?, ?, ?, ?, ?, ?)", _values(entry))


def recorded_if_changed(entry: AuditEntry) -> Statement:
    """The same, writing nothing where the statement before it in the batch changed no row."""
    return Statement(f"{_COLUMNS} SELECT ?, ?, ?, ?, ?, ? WHERE changes() > 0", _values(entry))


def written(told: Told) -> list[Statement]:
    """The statements for everything that is told of a change."""
    return [*map(recorded, told.entries), *map(append, told.events)]


def _values(entry: AuditEntry) -> tuple[str, ...]:
    return (entry.id, entry.action, entry.actor_id, entry.subject_id, json.dumps(entry.details), entry.occurred_at)
