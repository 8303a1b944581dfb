"""Routes: what one declares, what its handler is given, and how a request finds it.

A path parameter named `id` or `..._id` holds an id: a path with anything else in its place leads nowhere,
so that no service is asked for what cannot exist.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args
from urllib.parse import unquote

from pydantic import BaseModel

from gateway.http import Response
from gateway.inspection import Parts
from gateway.limits import Quota
from gateway.problems import MethodNotAllowed
from gateway.services import Contract, Services
from shared_kernel.errors import NotFound
from shared_kernel.ids import is_id
from shared_kernel.permissions import Permission
from shared_kernel.rpc import Principal

Input = TypeVar("Input", bound=BaseModel)
Limit = Literal["read", "write", "sign_in", "checkout", "webhook"]
LIMITS: tuple[Limit, ...] = get_args(Limit)
PRODUCTION = "production"


class Access(Enum):
    """Who may call a route that needs no permission; what he may see of it is for the service to say.

    `PUBLIC` asks nobody who he is, and does not look at his token. `ANYONE` takes guests too, but a token that is
    sent must be good. `OWNER` is for whom an order belongs to (a guest by its access token, the customer, the members
    of the buyer's company), and staff.
    """

    PUBLIC = "public"
    ANYONE = "anyone"
    OWNER = "owner"


Admission: TypeAlias = Access | Permission
"""What a route declares of its callers: one of the above, or the permission that each of them needs."""


@dataclass(frozen=True)
class Settings:
    """This deployment; `staff_token` is None where the secret is missing, and counts only in the local environment.

    `token_issuer` is who signs the access tokens (their `iss`). A class of requests without a quota is not limited.
    """

    environment: str
    version: str
    cors_origins: str
    staff_token: str | None
    token_issuer: str
    quotas: Mapping[Limit, Quota] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked(Generic[Input]):
    """A request that is as its route declares: `input` is its query or its body, as the route takes.

    `idempotency_key` and `expected_version` are given where the route declares them; `address` is the client's.
    """

    path: Mapping[str, str]
    input: Input
    principal: Principal
    services: Services
    settings: Settings
    parts: Parts
    idempotency_key: str = ""
    expected_version: int = 0
    address: str = ""

    def ask(self, contract: type[Contract]) -> Contract:
        """A service, on behalf of the caller."""
        return self.services.ask(contract, self.principal)


@dataclass(frozen=True)
class Route(Generic[Input]):
    """One thing that the API can do, for the router and for the description of the API.

    `access` is whom the check admits and whom the description names. `input` reads what the route takes: unless it
    says otherwise, the query of GET and DELETE, and the JSON body of the other methods. `text` is a body that is
    passed on unread, as `gateway.input.Delivery`. `same_output` are statuses beside `status` with the same kind of
    body, `refuses` those of the errors that the rest of the declaration does not imply. Reads and writes are limited
    as such unless `limit_instead` names another class of requests. A path parameter named `secret` is never logged.
    What is for the sandbox provider only does not exist in production.
    """

    method: str
    path: str
    access: Admission
    handler: Callable[[Asked[Input]], Awaitable[Response]]
    input: type[Input]
    summary: str
    output: type[BaseModel] | None = None
    media_type: str = "application/json"
    status: int = 200
    same_output: tuple[int, ...] = ()
    refuses: tuple[int, ...] = ()
    needs_idempotency_key: bool = False
    needs_if_match: bool = False
    has_etag: bool = False
    takes_instead: Literal["query", "text"] | None = None
    limit_instead: Limit | None = None
    sandbox: bool = False

    @property
    def takes(self) -> Literal["query", "json", "text"]:
        """Where the input is, and in which form."""
        return self.takes_instead or ("json" if self.method in ("POST", "PUT", "PATCH") else "query")

    @property
    def limit(self) -> Limit:
        """With which requests of the same caller this one is counted."""
        return self.limit_instead or ("read" if self.method == "GET" else "write")

    @property
    def parameters(self) -> list[str]:
        """The names of the path's parameters."""
        return re.findall(r"{(\w+)}", self.path)


def routes_in(environment: str, routes: Iterable[Route[Any]]) -> list[Route[Any]]:
    """Those of the routes that exist in this environment."""
    return [route for route in routes if not (route.sandbox and environment == PRODUCTION)]


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route[Any]]) -> None:
        self._paths: dict[str, dict[str, Route[Any]]] = {}
        for route in routes:
            methods = self._paths.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"two routes for {route.method} {route.path}")
            methods[route.method] = route
        self._patterns = [(_pattern(path), methods) for path, methods in self._paths.items()]

    def find(self, method: str, path: str) -> tuple[Route[Any], dict[str, str]]:
        """The route and its path's parameters, GET's for HEAD; NotFound, MethodNotAllowed."""
        methods, parameters = self._at(path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            raise MethodNotAllowed(method, _allowed(methods))
        return route, parameters

    def allowed(self, path: str) -> str:
        """The methods that a path knows, as `Allow` lists them; NotFound."""
        return _allowed(self._at(path)[0])

    def without_secret(self, path: str) -> str:
        """The path as it may be logged."""
        for pattern, _ in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None and _parameters(match) is not None:
                if "secret" in match.groupdict():
                    return f"{path[: match.start('secret')]}***{path[match.end('secret') :]}"
                return path
        return path

    def _at(self, path: str) -> tuple[dict[str, Route[Any]], dict[str, str]]:
        for pattern, methods in self._patterns:
            match = pattern.fullmatch(path)
            parameters = None if match is None else _parameters(match)
            if parameters is not None:
                return methods, parameters
        raise NotFound("there is nothing at this path")


def is_for_id(name: str) -> bool:
    """Whether a path's parameter of this name holds an id."""
    return name == "id" or name.endswith("_id")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"{(\w+)}", path)
    return re.compile("".join(f"(?P<{part}>[^/]+)" if n % 2 else re.escape(part) for n, part in enumerate(parts)))


def _parameters(match: re.Match[str]) -> dict[str, str] | None:
    """The path's parameters; None where one of them cannot be what its name says."""
    parameters = {name: unquote(value) for name, value in match.groupdict().items()}
    return parameters if all(_fits(name, value) for name, value in parameters.items()) else None


def _fits(name: str, value: str) -> bool:
    return not is_for_id(name) or is_id(value.partition("_")[0], value)


def _allowed(methods: Iterable[str]) -> str:
    known = set(methods)
    return ", ".join(sorted(known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())))
