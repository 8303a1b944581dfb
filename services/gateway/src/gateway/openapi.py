"""The description of the API: an OpenAPI 3.1 document made from the routes and their models.

Who may call a route, and with which statuses it can answer, follow from its declaration, so that what is described is
what the router does. What is sent and what is answered have schemas of their own: an answer has every field that has
something to say, and none that is null but `next_cursor`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core.core_schema import WithDefaultSchema

from gateway.access import PEOPLE, kinds_admitted
from gateway.preconditions import IDEMPOTENCY_KEY_PATTERN, VERSION_TAG_PATTERN
from gateway.problems import PROBLEM_JSON, Problem
from gateway.routing import Access, Admission, Route, is_for_id
from shared_kernel.ids import Id
from shared_kernel.permissions import Kind

Schema = dict[str, Any]
Schemas = Mapping[tuple[Any, Literal["validation", "serialization"]], Schema]

_TEXT: Schema = {"type": "string"}
_REFERENCE = "#/components/schemas/{model}"

_MEANINGS = {
    200: "Done.",
    201: "Made.",
    202: "Taken; it goes on after the answer.",
    204: "Done; there is nothing to say.",
    304: "The version that `If-None-Match` names is still the present one.",
    400: "The request cannot be understood.",
    401: "A token is missing or not good for this.",
    403: "The caller may not do this.",
    404: "There is no such thing, or the caller may not know of it.",
    409: "The state of the thing does not allow this now.",
    412: "There is a newer version than the one that `If-Match` names.",
    413: "The body is larger than 128,000 bytes, or 1,000,000 where it is passed on unread.",
    415: "The body is not application/json.",
    422: "The request is understood and not valid; `errors` tells which fields.",
    428: "`If-Match` is missing.",
    429: "Asked too often; `Retry-After` says when to come back.",
    431: "There are more than 100 headers.",
    500: "Something went wrong on our side.",
    503: "A service does not answer; `Retry-After` says when to try again.",
}

_IDEMPOTENCY_KEY = (
    "A new one for each new request, and the same one to repeat a request: it is done once, and the repeat is answered "
    "with `Idempotent-Replayed: true`. It should be a UUID, because all guests share one scope of keys."
)

# Only an order's token may come in the query; a person's and the staff token may not.
_SECURITY: Mapping[Access, list[Schema]] = {
    Access.PUBLIC: [],
    Access.ANYONE: [{}, {"bearer": []}],
    Access.OWNER: [{"bearer": []}, {"access_token": []}],
}

_WHO: Mapping[Access, str] = {
    Access.PUBLIC: "For anyone; no token is looked at.",
    Access.ANYONE: "For anyone.",
    Access.OWNER: (
        "For the owner of the order (the guest who holds its access token, the customer, or the members of the "
        "buyer's company), staff and admins."
    ),
}

_PLURALS: Mapping[Kind, str] = {"customer": "customers", "buyer": "buyers", "staff": "staff", "admin": "admins"}

_HEADERS: Mapping[int, Schema] = {
    401: {"WWW-Authenticate": {"description": "RFC 6750, 3.", "schema": _TEXT}},
    429: {"Retry-After": {"description": "In seconds.", "schema": {"type": "integer"}}},
    503: {"Retry-After": {"description": "In seconds.", "schema": {"type": "integer"}}},
}

_DESCRIPTION = (
    "Errors are RFC 9457 problem documents; a problem's `type` is relative to this API's address. Every response "
    "carries `x-request-id`, `traceparent` and `server-timing`. An order's access token counts as none where anyone "
    "may call; a person's must be good wherever a token is looked at. Money is in minor units, times are RFC 3339 in "
    "UTC. HEAD is answered as GET without a body, and OPTIONS on every path."
)

_BEARER = "A person's access token, as `POST /api/auth/login` gives it, or an order's."


def document_text(routes: Sequence[Route[Any]], version: str) -> str:
    """The document as JSON text."""
    return json.dumps(document(routes, version), ensure_ascii=False)


def document(routes: Sequence[Route[Any]], version: str) -> Schema:
    """The document, for the routes in their order."""
    schemas, definitions = _schemas(routes)
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, definitions)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pasar", "version": version, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": _BEARER,
                },
                "access_token": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "access_token",
                    "description": "An order's access token, for a link to it; a person's is not taken here.",
                },
            },
        },
    }


class _Schemas(GenerateJsonSchema):
    """Schemas of what is answered, beside those of what is sent: a field whose default is null is left out then."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Every field but those that may hold nothing; of what is sent, those without a default."""
        if self.mode == "serialization":
            return not _may_hold_nothing(field["schema"])
        return super().field_is_required(field, total)

    def default_schema(self, schema: WithDefaultSchema) -> Schema:
        """The field's schema, in an answer without the null that is never sent."""
        if self.mode == "serialization" and _may_hold_nothing(schema):
            inner: Any = schema["schema"]
            return self.generate_inner(inner["schema"] if inner["type"] == "nullable" else inner)
        return super().default_schema(schema)


def _may_hold_nothing(schema: Any) -> bool:
    return bool(schema["type"] == "default" and schema.get("default", ...) is None)


def _schemas(routes: Sequence[Route[Any]]) -> tuple[Schemas, Schema]:
    sent = {route.input for route in routes if route.takes != "text"}
    answered = {Problem} | {route.output for route in routes if route.output}
    references, definitions = models_json_schema(
        [(model, "validation") for model in sorted(sent, key=_by_name)]
        + [(model, "serialization") for model in sorted(answered, key=_by_name)],
        ref_template=_REFERENCE,
        schema_generator=_Schemas,
    )
    named: Schema = definitions["$defs"]
    for schema in named.values():
        for name, field in schema.get("properties", {}).items():
            if name.endswith("_at") and field.get("type") == "string":
                field["format"] = "date-time"
    return {**references}, named


def _by_name(model: type[BaseModel]) -> str:
    return model.__name__


def _operation(route: Route[Any], schemas: Schemas, definitions: Schema) -> Schema:
    operation: Schema = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "description": f"{route.handler.__doc__} {_who(route.access)}",
        "tags": [_tag(route.path)],
        "security": _SECURITY[route.access] if isinstance(route.access, Access) else [{"bearer": []}],
        "parameters": [*_path_parameters(route), *_header_parameters(route)],
        "responses": _responses(route, schemas),
    }
    if route.takes == "json":
        content = {"application/json": {"schema": schemas[route.input, "validation"]}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.takes == "text":
        operation["requestBody"] = {"required": True, "content": {"*/*": {"schema": {"type": "string"}}}}
    else:
        operation["parameters"] += _query_parameters(definitions[_name(schemas[route.input, "validation"])])
    return operation


def _who(access: Admission) -> str:
    if isinstance(access, Access):
        return _WHO[access]
    kinds = kinds_admitted(access)
    who = "everyone who is signed in" if len(kinds) == len(PEOPLE) else " and ".join(_PLURALS[kind] for kind in kinds)
    return f"For {who} (`{access}`)."


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "api" else "system"


def _path_parameters(route: Route[Any]) -> list[Schema]:
    schemas = {name: TypeAdapter(Id).json_schema() if is_for_id(name) else _TEXT for name in route.parameters}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name, schema in schemas.items()]


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _query_parameters(model_schema: Schema) -> list[Schema]:
    properties = model_schema.get("properties", {})
    return [{"name": name, "in": "query", "schema": _without_null(schema)} for name, schema in properties.items()]


def _without_null(schema: Schema) -> Schema:
    """A query's field is left out, not null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    if not choices:
        return kept
    return {**kept, **choices[0]} if len(choices) == 1 else {**kept, "anyOf": choices}


def _header_parameters(route: Route[Any]) -> list[Schema]:
    headers: list[Schema] = []
    if route.needs_idempotency_key:
        schema = {"type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN}
        headers.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": _IDEMPOTENCY_KEY,
                "schema": schema,
            }
        )
    if route.needs_if_match:
        schema = {"type": "string", "pattern": VERSION_TAG_PATTERN}
        headers.append({"name": "If-Match", "in": "header", "required": True, "schema": schema})
    if route.has_etag and route.method == "GET":
        headers.append({"name": "If-None-Match", "in": "header", "schema": {"type": "string"}})
    return headers


def _responses(route: Route[Any], schemas: Schemas) -> Schema:
    success: Schema = {"description": _MEANINGS[route.status]}
    if route.status != 204:
        schema = {"type": "string"} if route.media_type == "text/html" else {"type": "object"}
        output = schemas[route.output, "serialization"] if route.output else schema
        success["content"] = {route.media_type: {"schema": output}}
    if route.has_etag:
        success["headers"] = {"ETag": {"description": "The version.", "schema": _TEXT}}
    responses: Schema = {str(route.status): success}
    if route.has_etag and route.method == "GET":
        responses["304"] = {"description": _MEANINGS[304]}
    problem = {PROBLEM_JSON: {"schema": schemas[Problem, "serialization"]}}
    for status in _error_statuses(route):
        responses[str(status)] = {"description": _MEANINGS[status], "content": problem}
        if status in _HEADERS:
            responses[str(status)]["headers"] = _HEADERS[status]
    for status in route.same_output:
        responses[str(status)] = {**success, "description": _MEANINGS[status]}
    return responses


def _error_statuses(route: Route[Any]) -> Iterable[int]:
    # Any query can be one that cannot be read, or hold a field that nobody knows.
    statuses = {400, 422, 429, 431, 500, 503, *route.refuses}
    if route.access is not Access.PUBLIC:
        statuses.add(401)
    if not isinstance(route.access, Access) and not set(PEOPLE) <= set(kinds_admitted(route.access)):
        statuses.add(403)
    if route.parameters:
        statuses.add(404)
    if route.takes != "query":
        statuses.add(413)
    if route.takes == "json":
        statuses.add(415)
    if route.needs_if_match:
        statuses |= {412, 428}
    return sorted(statuses - set(route.same_output))
