"""Which web pages of other origins may call the API (the Fetch standard, CORS).

The API has no cookies, so a page gains nothing that its user's token does not give it: the setting is a
list of origins, or `*`.
"""

ALLOWED_HEADERS = "authorization, content-type, idempotency-key, if-match, if-none-match, traceparent, x-request-id"
EXPOSED_HEADERS = (
    "age, allow, cache-status, etag, idempotent-replayed, location, ratelimit, ratelimit-policy, retry-after, "
    "server-timing, traceparent, www-authenticate, x-request-id"
)
_PREFLIGHT_SECONDS = 600


def response_headers(origins: str, origin: str | None) -> dict[str, str]:
    """The headers of every response to a page of this origin; without CORS ones where it is not allowed."""
    if origins.strip() == "*":
        return {"access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED_HEADERS}
    if not origin or origin not in [each.strip() for each in origins.split(",")]:
        return {"vary": "Origin"}
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED_HEADERS,
        "vary": "Origin",
    }


def preflight_headers(methods: str) -> dict[str, str]:
    """What an allowed page may send to a path with these methods."""
    return {
        "access-control-allow-methods": methods,
        "access-control-allow-headers": ALLOWED_HEADERS,
        "access-control-max-age": str(_PREFLIGHT_SECONDS),
    }
