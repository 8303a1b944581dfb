"""`Ok` and `Err`: how an outcome travels where exceptions cannot (RPC, queues, workflow steps).

On the wire a result is one line of text: `+` and the value's JSON, or `-` and the error's JSON. The
value's text can so be passed on without being parsed.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from shared_kernel.errors import FAMILIES, DomainError, Fault


@dataclass(frozen=True)
class Ok:
    """A value, as the JSON text in which it crossed."""

    json: str


class Err(BaseModel):
    """A refusal: its family chooses the exception class, its code is what a program reads."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    family: str
    code: str
    message: str
    details: dict[str, JsonValue] = {}

    @staticmethod
    def of(error: DomainError) -> "Err":
        """The error as it travels."""
        return Err(family=error.family, code=error.code, message=error.message, details=error.details)

    def exception(self) -> DomainError:
        """The error as the family's exception, with its code, message and details."""
        kind = FAMILIES.get(self.family, Fault)
        return kind(self.message, code=self.code, details=self.details)


Result = Ok | Err
_OK: Literal["+"] = "+"
_ERR: Literal["-"] = "-"


def encode(result: Result) -> str:
    """The result as text.

    >>> encode(Ok("[1]"))
    '+[1]'
    """
    return _OK + result.json if isinstance(result, Ok) else _ERR + result.model_dump_json()


def decode(text: str) -> Result:
    """The result that `encode` wrote; ValueError for any other text."""
    if text[:1] == _OK:
        return Ok(text[1:])
    if text[:1] == _ERR:
        return Err.model_validate_json(text[1:])
    raise ValueError("not a result: it starts with neither + nor -")
