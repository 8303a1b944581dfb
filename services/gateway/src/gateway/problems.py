"""Errors as HTTP: which status each family of errors has, and the RFC 9457 document that tells of it.

`type` is a URI reference relative to the API's own address (`/problems/insufficient_inventory`) and never
changes for one kind of problem; `code` is its last part. What a service says about a refusal in its details
(`missing`, `product_ids`, `errors`) are extension members of the document.
"""

import json

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gateway.http import Response
from shared_kernel.errors import (
    Conflict,
    DomainError,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from shared_kernel.tracing import trace_id

PROBLEM_JSON = "application/problem+json"


class Malformed(Invalid):
    """The message itself cannot be understood."""

    code = "malformed"


class ContentTooLarge(Invalid):
    """The body is larger than is taken."""

    code = "content_too_large"


class TooManyHeaders(Invalid):
    """More headers than any honest client sends (RFC 6585, 5)."""

    code = "too_many_headers"


class UnsupportedMediaType(Invalid):
    """The body is not of the one kind that is understood."""

    code = "unsupported_media_type"


class PreconditionRequired(PreconditionFailed):
    """The change does not say which version of the thing its author has seen (RFC 6585, 3)."""

    code = "precondition_required"


class MethodNotAllowed(Invalid):
    """The path is known, but not with this method."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method} is not possible here; possible are {allowed}")
        self.allowed = allowed


STATUS: dict[type[DomainError], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    PreconditionFailed: 412,
    ContentTooLarge: 413,
    UnsupportedMediaType: 415,
    Invalid: 422,
    PreconditionRequired: 428,
    TooManyRequests: 429,
    TooManyHeaders: 431,
    Fault: 500,
    Unavailable: 503,
}

# What a fault says of itself is for the log; the caller learns whether it is worth trying again.
_FAULTS = {500: "something went wrong on our side", 503: "a part of the shop does not answer; try again later"}

_RETRY_SECONDS = 5


class FieldError(BaseModel):
    """What is wrong with one field: its path (`items.0.quantity`), a code and words."""

    field: str
    code: str
    detail: str


class Problem(BaseModel):
    """An RFC 9457 problem, for the description of the API; further members tell more of some problems."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A URI reference relative to the API's address, the same for each kind of problem.")
    title: str
    status: int
    detail: str
    code: str = Field(description="The last part of `type`.")
    instance: str = Field(description="The path that was asked for.")
    trace_id: str = Field(description="The trace to look for in the logs.")
    errors: list[FieldError] | None = None


def status_of(error: DomainError) -> int:
    """The HTTP status of the nearest class in the error's hierarchy that the table names."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(error: DomainError, *, path: str, traceparent: str) -> Response:
    """The error as a response."""
    status = status_of(error)
    told: dict[str, JsonValue] = {
        "type": f"/problems/{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": status,
        "detail": _FAULTS.get(status, error.message),
        "code": error.code,
        "instance": path,
        "trace_id": trace_id(traceparent),
    }
    text = json.dumps(told | {name: value for name, value in error.details.items() if name not in told})
    return Response(status, text, {"content-type": PROBLEM_JSON, **_headers(error)})


def _headers(error: DomainError) -> dict[str, str]:
    if isinstance(error, MethodNotAllowed):
        return {"allow": error.allowed}
    if isinstance(error, Unauthenticated):
        told = ', error="invalid_token"' if error.code == "invalid_token" else ""
        return {"www-authenticate": f'Bearer realm="pasar"{told}'}
    if isinstance(error, Unavailable | TooManyRequests):
        seconds = error.details.get("retry_after_seconds")
        return {"retry-after": str(seconds if isinstance(seconds, int) and seconds > 0 else _RETRY_SECONDS)}
    return {}
