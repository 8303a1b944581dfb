"""How a change is told: its audit entry and its event have one name and one content."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue

from shared_kernel.events import event
from shared_kernel.ids import new_id
from user.application.ports import Told
from user.domain.audit import entry

_SOURCE = "/services/user"


class Actor(NamedTuple):
    """Who acts, when, and in which trace."""

    id: str
    at: datetime
    traceparent: str


def told_of(kind: str, subject_id: str, whose_rights: str, data: dict[str, JsonValue], actor: Actor) -> Told:
    """The event is about the account or company that changed, the audit's entry about him whose rights did."""
    at = actor.at
    about = event(kind, subject_id, data, id=new_id("evt", at), at=at, source=_SOURCE, traceparent=actor.traceparent)
    return Told([entry(kind, actor.id, whose_rights, at, data)], [about])


def together(parts: Iterable[Told]) -> Told:
    """What is told of one change that is told in parts."""
    listed = list(parts)
    return Told(
        [entry for part in listed for entry in part.entries],
        [event for part in listed for event in part.events],
    )
