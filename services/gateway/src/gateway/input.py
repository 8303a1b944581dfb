"""What a client sends, as models: which queries and bodies are taken, and what is said of the others.

A body is strict JSON in UTF-8 of at most 128 kB: no NaN, at most 32 objects and arrays within each other, no unpaired
surrogates. A member named twice is refused too, because two readers might see two different
requests (RFC 8259, 4), and so is U+0000, which SQLite does not keep faithfully.
"""

import json
from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import from_json

from gateway.http import JSON, Request
from gateway.problems import ContentTooLarge, Malformed, UnsupportedMediaType
from shared_kernel.errors import Invalid
from shared_kernel.rpc import field_errors

Model = TypeVar("Model", bound=BaseModel)

LARGEST_JSON_BYTES = 128_000
"""Twice what the longest description of a product takes with every character escaped. A megabyte of rubbish would keep
the isolate, and so everybody in it, busy for half a second, and whoever sends it need not be signed in."""
LARGEST_DELIVERY_BYTES = 1_000_000
DEEPEST_NESTING = 32
_CREDENTIALS = frozenset({"authorization", "cookie"})
_MOST_QUERY_FIELDS = 50
_MOST_ERRORS = 50
_LONGEST_NAME = 200


def query_fields(query: str) -> dict[str, str]:
    """The query's fields; Malformed when it cannot be read, Invalid for a field given twice."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_QUERY_FIELDS)
    except ValueError as failure:
        raise Malformed("the query cannot be read", code="malformed_query") from failure
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise _refused([_error(name, "repeated", "is given twice") for name in fields if names.count(name) > 1])
    return fields


def from_query(model: type[Model], fields: dict[str, str]) -> Model:
    """The query as the model; Invalid for unknown fields and unfit values."""
    try:
        value = model.model_validate_strings(fields)
    except ValidationError as failure:
        raise _refused(_errors(failure)) from failure
    _refuse_nul(dict(fields))
    return value


class Delivery(BaseModel):
    """A message of another system as it came: its text is for whoever can verify it."""

    text: str
    headers: dict[str, str]
    address: str


async def delivery(request: Request) -> Delivery:
    """The request's text, unparsed, with its headers but for the caller's credentials.

    ContentTooLarge, or Malformed when it is not text in UTF-8 that can be kept.
    """
    body = await _read(request, LARGEST_DELIVERY_BYTES)
    try:
        text = body.decode()
    except UnicodeDecodeError as failure:
        raise Malformed("the body is not UTF-8", code="malformed_text") from failure
    if "\0" in text:
        raise Malformed("the body must not hold U+0000", code="malformed_text")
    headers = {name: value for name, value in request.headers().items() if name not in _CREDENTIALS}
    return Delivery(text=text, headers=headers, address=request.address)


async def from_body(model: type[Model], request: Request) -> Model:
    """The body as the model; UnsupportedMediaType, ContentTooLarge, Malformed or Invalid when it is not."""
    content_type = request.header("content-type") or ""
    if content_type.partition(";")[0].strip().lower() != JSON or request.header("content-encoding"):
        raise UnsupportedMediaType(f"the body must be {JSON}, not encoded further")
    return _parsed(model, await _read(request, LARGEST_JSON_BYTES))


async def _read(request: Request, limit_bytes: int) -> bytes:
    try:
        body = await request.body.read(limit_bytes)
    except ConnectionError as failure:
        raise Malformed("the body broke off, or did not come in time", code="incomplete_body") from failure
    if body is None:
        raise ContentTooLarge(f"the body may have at most {limit_bytes} bytes")
    return body


def _parsed(model: type[Model], body: bytes) -> Model:
    try:
        sent = from_json(body, allow_inf_nan=False)
    except ValueError as failure:
        raise Malformed(f"the body is not JSON: {failure}", code="malformed_json") from failure
    if _is_nested_deeper(sent, DEEPEST_NESTING):
        raise Malformed(f"the body may nest at most {DEEPEST_NESTING} objects and arrays", code="json_too_deep")
    try:
        value = model.model_validate_json(body, strict=True)
    except ValidationError as failure:
        raise _refused(_errors(failure)) from failure
    # Only what is valid is read a second time, so that a large body of rubbish costs little.
    try:
        members = json.loads(body, object_pairs_hook=_named_once)
    except (ValueError, RecursionError) as failure:
        raise Malformed("the body cannot be read", code="malformed_json") from failure
    _refuse_nul(members)
    return value


def _is_nested_deeper(value: JsonValue, levels: int) -> bool:
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        children = (each.values() if isinstance(each, dict) else each for each in containers)
        containers = [child for each in children for child in each if isinstance(child, dict | list)]
    return bool(containers)


def _named_once(members: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    unique = dict(members)
    if len(unique) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(f"the member {twice!r} is given twice", code="duplicate_member")
    return unique


def _refuse_nul(value: JsonValue) -> None:
    errors = [_error(path, "nul_character", "must not hold U+0000") for path in _paths_with_nul(value, ())]
    if errors:
        raise _refused(errors)


def _paths_with_nul(value: JsonValue, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, str) and "\0" in value:
        yield ".".join(path)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _paths_with_nul(member, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _paths_with_nul(item, (*path, str(place)))


def _errors(failure: ValidationError) -> list[dict[str, JsonValue]]:
    if failure.error_count() > _MOST_ERRORS:
        return [_error("", "too_many_errors", f"{failure.error_count()} fields are not valid")]
    return [{**error, "field": error["field"][:_LONGEST_NAME]} for error in field_errors(failure)]


def _error(field: str, code: str, detail: str) -> dict[str, JsonValue]:
    return {"field": field, "code": code, "detail": detail}


def _refused(errors: list[dict[str, JsonValue]]) -> Invalid:
    return Invalid("the request is not valid", details={"errors": list[JsonValue](errors)})
