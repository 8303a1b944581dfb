"""A request and a response as plain Python, so that all but the entry point runs anywhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from pydantic import BaseModel

JSON = "application/json"


class Body(Protocol):
    """What the client sends after the headers; it may be endless, and breaks off where it does not come in time."""

    async def read(self, limit_bytes: int) -> bytes | None:
        """All of it, or None as soon as more than `limit_bytes` have come; ConnectionError when it breaks off."""
        ...

    async def discard(self, limit_bytes: int) -> None:
        """Read on, keeping nothing, to the end or for a little more than `limit_bytes`; ConnectionError."""
        ...


@dataclass(frozen=True)
class Request:
    """One request; `header` is asked with a lower-case name, `path` and `query` are still percent-encoded.

    `headers` gives all of them by lower-case name; it costs more than to ask for one. `origin` is where the client
    reached us (`https://shop.example`), `header_count` how many headers there are.
    """

    method: str
    path: str
    query: str
    header: Callable[[str], str | None]
    body: Body
    headers: Callable[[], Mapping[str, str]] = dict
    origin: str = "https://gateway.invalid"
    header_count: int = 0

    @property
    def address(self) -> str:
        """The client's, as Cloudflare tells it whatever the client sends; `x-forwarded-for` is not believed."""
        return self.header("cf-connecting-ip") or ""


@dataclass(frozen=True)
class Response:
    """One response; header names are in lower case. `file` is the path of a static file that is its body."""

    status: int
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    file: str | None = None

    def having(self, headers: Mapping[str, str]) -> "Response":
        """The same with more headers; those that it has already win."""
        return replace(self, headers={**headers, **self.headers})


def json_text(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of JSON text as it is."""
    return Response(status, text, {"content-type": JSON, **(headers or {})})


def json_of(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response of a model, without the fields that hold nothing."""
    return json_text(model.model_dump_json(exclude_none=True), status, headers)


def split_url(url: str) -> tuple[str, str, str]:
    """Origin, path and query of an absolute URL as the WHATWG URL standard serialises it.

    >>> split_url("https://shop.example/api/products?q=tea")
    ('https://shop.example', '/api/products', 'q=tea')
    """
    scheme, _, after_scheme = url.partition("//")
    start = after_scheme.find("/")
    path, _, query = after_scheme[start:].partition("?")
    return f"{scheme}//{after_scheme[:start]}", path, query
