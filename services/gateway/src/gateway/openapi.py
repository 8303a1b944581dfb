"""The description of the API: an OpenAPI 3.1 document made from the routes and their models.

A route's errors follow from its declaration, so that what is described is what the router does.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from gateway.preconditions import IDEMPOTENCY_KEY_PATTERN
from gateway.problems import PROBLEM_JSON, Problem
from gateway.routing import Access, Route, is_for_id
from shared_kernel.ids import Id

Schema = dict[str, Any]
Schemas = Mapping[type[BaseModel], Schema]

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
    404: "There is no such thing, or the caller may not know of it.",
    409: "The state of the thing does not allow this now.",
    412: "There is a newer version than the one that `If-Match` names.",
    413: "The body is larger than 1,000,000 bytes.",
    415: "The body is not application/json.",
    422: "The request is understood and not valid; `errors` tells which fields.",
    428: "`If-Match` is missing.",
    500: "Something went wrong on our side.",
    503: "A service does not answer; `Retry-After` says when to try again.",
}

_IDEMPOTENCY_KEY = (
    "A new one for each new request, and the same one to repeat a request: it is done once, and the repeat is answered "
    "with `Idempotent-Replayed: true`. It should be a UUID, because all guests share one scope of keys."
)

# Only an order's token may come in the query; the staff token may not.
_SECURITY: Mapping[Access, list[Schema]] = {
    Access.ANYONE: [],
    Access.OWNER: [{"bearer": []}, {"access_token": []}],
    Access.STAFF: [{"bearer": []}],
}

_DESCRIPTION = (
    "Errors are RFC 9457 problem documents; a problem's `type` is relative to this API's address. Every response "
    "carries `x-request-id`, `traceparent` and `server-timing`. A token that is good for nothing counts as none where "
    "anyone may call. Money is in minor units. HEAD is answered as GET "
    "without a body, and OPTIONS on every path."
)


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
                    "description": "The staff token, or an order's access token.",
                },
                "access_token": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "access_token",
                    "description": "An order's access token, for a link to it; the staff token is not taken here.",
                },
            },
        },
    }


def _schemas(routes: Sequence[Route[Any]]) -> tuple[Schemas, Schema]:
    models: set[type[BaseModel]] = {Problem}
    for route in routes:
        models |= (set() if route.takes == "text" else {route.input}) | ({route.output} if route.output else set())
    # One schema for each model: what is sent may leave out what has a default, and so may what is answered.
    references, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=_REFERENCE,
    )
    return {model: references[model, "validation"] for model in models}, definitions["$defs"]


def _operation(route: Route[Any], schemas: Schemas, definitions: Schema) -> Schema:
    operation: Schema = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "description": f"{route.handler.__doc__} For {route.access.value}.",
        "tags": [_tag(route.path)],
        "security": _SECURITY[route.access],
        "parameters": [*_path_parameters(route), *_header_parameters(route)],
        "responses": _responses(route, schemas),
    }
    if route.takes == "json":
        content = {"application/json": {"schema": schemas[route.input]}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.takes == "text":
        operation["requestBody"] = {"required": True, "content": {"*/*": {"schema": {"type": "string"}}}}
    else:
        operation["parameters"] += _query_parameters(definitions[_name(schemas[route.input])])
    return operation


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
        headers.append({"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}})
    if route.has_etag and route.method == "GET":
        headers.append({"name": "If-None-Match", "in": "header", "schema": {"type": "string"}})
    return headers


def _responses(route: Route[Any], schemas: Schemas) -> Schema:
    success: Schema = {"description": _MEANINGS[route.status]}
    if route.status != 204:
        schema = {"type": "string"} if route.media_type == "text/html" else {"type": "object"}
        success["content"] = {route.media_type: {"schema": schemas[route.output] if route.output else schema}}
    problem = {PROBLEM_JSON: {"schema": schemas[Problem]}}
    responses: Schema = {str(route.status): success}
    if route.has_etag and route.method == "GET":
        responses["304"] = {"description": _MEANINGS[304]}
    for status in _error_statuses(route):
        responses[str(status)] = {"description": _MEANINGS[status], "content": problem}
    return responses


def _error_statuses(route: Route[Any]) -> Iterable[int]:
    statuses = {400, 422, 500, 503, *route.refuses}
    if route.access is not Access.ANYONE:
        statuses.add(401)
    if route.parameters:
        statuses.add(404)
    if route.takes != "query":
        statuses.add(413)
    if route.takes == "json":
        statuses.add(415)
    if route.needs_if_match:
        statuses |= {412, 428}
    return sorted(statuses)
