"""The families of refusals that the domain can raise, each with a stable code.

A service raises one of these (or its own subclass with a code of its own); the RPC server carries
it to the caller as an `Err`, and the gateway answers it as an RFC 9457 problem whose HTTP status is
chosen by family. Anything else that is raised is a fault, never shown to a caller in detail.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue


class DomainError(Exception):
    """A refusal with a reason that the caller can act on."""

    family: ClassVar[str]
    code: str

    def __init__(
        self, message: str, *, code: str | None = None, details: Mapping[str, JsonValue] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, JsonValue] = dict(details or {})
        if code is not None:
            self.code = code


class Fault(DomainError):
    """Something broke: the outcome is unknown, and the same call may be repeated."""

    family = "internal"
    code = "internal_error"


class Unavailable(Fault):
    """A part that is needed does not answer, or not in time; try again later."""

    family = "unavailable"
    code = "unavailable"


class Invalid(DomainError):
    """The request cannot be carried out as it stands, whoever sends it and whenever."""

    family = "invalid"
    code = "invalid"


class Unauthenticated(DomainError):
    """Nobody, or nobody we know, is calling."""

    family = "unauthenticated"
    code = "unauthenticated"


class Forbidden(DomainError):
    """The caller may see the thing but not do this to it."""

    family = "forbidden"
    code = "forbidden"


class NotFound(DomainError):
    """There is no such thing, or the caller may not know that there is."""

    family = "not_found"
    code = "not_found"


class Conflict(DomainError):
    """The state of the thing does not allow this now."""

    family = "conflict"
    code = "conflict"


class PreconditionFailed(DomainError):
    """The caller's version of the thing is stale (RFC 9110, 13.1.1)."""

    family = "precondition_failed"
    code = "precondition_failed"


class TooManyRequests(DomainError):
    """The caller has asked too often; `details["retry_after_seconds"]` says when to come back (RFC 6585, 4)."""

    family = "too_many_requests"
    code = "too_many_requests"


FAMILIES: dict[str, type[DomainError]] = {
    kind.family: kind
    for kind in (
        Fault,
        Unavailable,
        Invalid,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        PreconditionFailed,
        TooManyRequests,
    )
}
