"""The envelope of an integration event: CloudEvents 1.0 in JSON.

Integration events are the deliberate messages of one service to whoever listens, not its internal
domain events. https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared_kernel.clock import rfc3339


class Event(BaseModel):
    """One thing that happened; `source` and `id` together are unique, delivery is at least once."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    type: str = Field(min_length=1)
    subject: str
    time: str
    datacontenttype: Literal["application/json"] = "application/json"
    dataversion: int = Field(default=1, ge=1)
    traceparent: str
    data: dict[str, JsonValue]


def event(
    kind: str, subject: str, data: dict[str, JsonValue], *, id: str, at: datetime, source: str, traceparent: str
) -> Event:
    """An event of `kind` (`order.confirmed`) about `subject` (the aggregate's id), from a service's path."""
    return Event(id=id, source=source, type=kind, subject=subject, time=rfc3339(at), traceparent=traceparent, data=data)
