"""What every message between services has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """A frozen message; fields that nobody knows are refused, and what was refused is not shown in the error's text.

    Such a text may be logged, and a message may hold what customers told us.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Nothing(Message):
    """The request of a method that needs to be told nothing."""


class Health(Message):
    """Whether a service can do its work; the parts that it does not have are absent."""

    status: str
    database: str | None = None
    secrets: str | None = None
    providers: list[str] | None = None


Quantity = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Limit = Annotated[int, Field(ge=1, le=100)]
