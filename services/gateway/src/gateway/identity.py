"""Who asks: the bearer token of a request, and the principal that it makes of him.

A token comes in `Authorization: Bearer` or, for a link to an order, in the query's `access_token`
(RFC 6750, 2.1 and 2.3), not in both. The staff token makes staff, but only in the header: a query ends up in
logs and histories, which is bad enough for one order. Any other is a guest's credential for one order, which
the order service judges. A route that is for anyone treats a token that opens nothing as none at all. Nobody
is staff where the secret is missing.
"""

import re
from dataclasses import dataclass
from hmac import compare_digest

from gateway.problems import Malformed
from shared_kernel.rpc import Principal

# RFC 6750, 2.1: b64token. The longest is far above what is ever issued.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,1024}=*")
_SCHEME = "bearer "

GATEWAY = Principal(kind="service", id="gateway")
"""The gateway itself, where it must know more than the caller may."""


@dataclass(frozen=True)
class Caller:
    """Who asks; `token_sent` also when the token was of no use."""

    principal: Principal
    token_sent: bool

    @property
    def refusal_code(self) -> str:
        """What a refusal of him says: that he sent nothing, or nothing that is good for this (RFC 6750, 3)."""
        return "invalid_token" if self.token_sent else "unauthenticated"


def caller(authorization: str | None, query_token: str | None, staff_token: str | None) -> Caller:
    """The caller by his token; Malformed `token_sent_twice`."""
    if authorization is not None and query_token is not None:
        raise Malformed("send the token once, in the header or in the query", code="token_sent_twice")
    token = query_token
    if authorization is not None:
        is_bearer = authorization[: len(_SCHEME)].lower() == _SCHEME
        token = authorization[len(_SCHEME) :].strip() if is_bearer else ""
    usable = token if token is not None and _TOKEN.fullmatch(token) else None
    in_header = None if authorization is None else usable
    if in_header is not None and staff_token and compare_digest(in_header.encode(), staff_token.encode()):
        return Caller(Principal(kind="staff", id="staff"), token_sent=True)
    return Caller(Principal(kind="guest", id="guest", credential=usable), token_sent=token is not None)
