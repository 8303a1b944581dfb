"""The audit: what is written down of each change of rights and each session that did not end by itself."""

from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue

from shared_kernel.clock import rfc3339
from shared_kernel.ids import new_id


class AuditEntry(NamedTuple):
    """Who (`actor_id`) did what to which account, company or key (`subject_id`)."""

    id: str
    action: str
    actor_id: str
    subject_id: str
    details: dict[str, JsonValue]
    occurred_at: str


def entry(
    action: str, actor_id: str, subject_id: str, now: datetime, details: dict[str, JsonValue] | None = None
) -> AuditEntry:
    """An entry of now."""
    return AuditEntry(new_id("aud", now), action, actor_id, subject_id, details or {}, rfc3339(now))
