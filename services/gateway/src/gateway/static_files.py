"""The static files that the page `/docs` loads. They are no part of the API, and so no routes."""

from gateway.http import Response

_TYPES = {
    "/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "/docs/swagger-ui.css": "text/css; charset=utf-8",
}
_CACHE_CONTROL = "public, max-age=3600"


def static_file(method: str, path: str) -> Response | None:
    """The file at this path; None where there is none."""
    if method not in ("GET", "HEAD") or path not in _TYPES:
        return None
    return Response(200, None, {"content-type": _TYPES[path], "cache-control": _CACHE_CONTROL}, file=path)
