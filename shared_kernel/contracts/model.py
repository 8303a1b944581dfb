"""What every message between services has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Message(BaseModel):
    """A frozen message; fields that nobody knows are refused, and what was refused is not shown in the error's text.

    Such a text may be logged, and a message may hold what customers told us.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Nothing(Message):
    """The request of a method that needs to be told nothing."""


class Health(Message):
    """Whether a service can do its work; the parts that it does not have are absent.

    `database_ms` is how long the database took to answer, absent when it did not.
    """

    status: str
    database: str | None = None
    database_ms: int | None = None
    secrets: str | None = None
    providers: list[str] | None = None


Quantity = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Limit = Annotated[int, Field(ge=1, le=100)]
# What is printed on one line, or goes into a header, holds no control characters.
_ONE_LINE = r"^[^\x00-\x1F\x7F]+$"
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_ONE_LINE)]
ShortLine = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=_ONE_LINE)]
ReasonText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
CursorText = Annotated[str, StringConstraints(max_length=500)]
PostalCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20, pattern=_ONE_LINE)]
# The HTML standard's pattern for an e-mail field: what people type, short of RFC 5322's oddities.
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"),
]
