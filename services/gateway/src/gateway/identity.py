"""Who calls: the token of a request, and the principal that it makes of the caller.

A token comes in `Authorization: Bearer` or, for a link to an order, in the query's `access_token` (RFC 6750, 2.1 and
2.3), not in both. Three dotted parts are an access token of ours and must be a good one; it is taken in the header
alone, because a query ends up in logs and histories, which is bad enough for one order. So is the staff token, which
makes staff in the local environment and in no other. What has the form of an order's access token is a guest's
credential for that order, which the order service judges; anything else opens nothing. A route that is for anyone
treats both as no token. A public route does not look at tokens.
"""

import re
from dataclasses import dataclass
from hmac import compare_digest

from gateway.problems import Malformed
from gateway.routing import Access, Admission, Settings
from gateway.services import Services
from gateway.signing_keys import SigningKeys
from gateway.standings import Standings
from gateway.tokens import Claims, InvalidToken, PublicKey, Verify, claims_of, is_access_token
from shared_kernel.clock import Clock, system_clock
from shared_kernel.contracts.model import Nothing
from shared_kernel.contracts.user import CheckSession, Identities, Standing
from shared_kernel.rpc import GATEWAY_ID, Principal

# An order's access token, as the order service makes it: 24 random bytes in base64url.
_CREDENTIAL = re.compile(r"[A-Za-z0-9_-]{32}")
_SCHEME = "bearer "
_PATIENCE_MS = 2_000

GATEWAY = Principal(kind="service", id=GATEWAY_ID)
"""The gateway itself, where it must know more than the caller may."""

GUEST = Principal(kind="guest", id="guest")


@dataclass(frozen=True)
class Caller:
    """Who calls; `token_sent` also when the token was of no use."""

    principal: Principal
    token_sent: bool

    @property
    def refusal_code(self) -> str:
        """What a refusal of him says: that he sent nothing, or nothing that is good for this (RFC 6750, 3)."""
        return "invalid_token" if self.token_sent else "unauthenticated"


class Callers:
    """Tells who calls; one for each isolate, which remembers keys and standings for a short while."""

    def __init__(self, verify: Verify, clock: Clock = system_clock) -> None:
        self._verify = verify
        self._clock = clock
        self._keys = SigningKeys(clock)
        self._standings = Standings(clock)

    async def identify(
        self,
        access: Admission,
        authorization: str | None,
        query_token: str | None,
        settings: Settings,
        services: Services,
    ) -> Caller:
        """The caller of a route, by the token that he sent.

        Malformed `token_sent_twice`; InvalidToken for an access token that is not good; Unavailable when it cannot be
        told whether it is.
        """
        if access is Access.PUBLIC:
            return Caller(GUEST, token_sent=False)
        if authorization is None:
            return _guest(query_token)
        if query_token is not None:
            raise Malformed("send the token once, in the header or in the query", code="token_sent_twice")
        token = authorization[len(_SCHEME) :].strip() if authorization[: len(_SCHEME)].lower() == _SCHEME else ""
        if _is_staff_token(token, settings):
            return Caller(Principal(kind="staff", id="staff"), token_sent=True)
        if is_access_token(token):
            return Caller(await self._person(token, settings, services), token_sent=True)
        return _guest(token)

    async def _person(self, token: str, settings: Settings, services: Services) -> Principal:
        async def find_key(kid: str) -> PublicKey | None:
            return await self._keys.find(kid, lambda: _identities(services).get_keys(Nothing()))

        claims = await claims_of(token, settings.token_issuer, self._clock(), find_key, self._verify)
        standing = await self._standings.find(
            Standing(user_id=claims.sub, role=claims.role, company_id=claims.company_id),
            claims.sid,
            claims.iat * 1000,
            lambda: _identities(services).get_standing(CheckSession(session_id=claims.sid)),
        )
        return _principal(claims, standing)


def _identities(services: Services) -> Identities:
    return services.ask(Identities, GATEWAY, _PATIENCE_MS)


def _principal(claims: Claims, standing: Standing) -> Principal:
    if standing.user_id != claims.sub:
        raise InvalidToken("the session is another person's")
    return Principal(
        kind=standing.role,
        id=claims.sub,
        session_id=claims.sid,
        company_id=standing.company_id if standing.role == "buyer" else None,
    )


def _is_staff_token(token: str, settings: Settings) -> bool:
    expected = settings.staff_token
    if not expected or settings.environment != "local":
        return False
    return compare_digest(token.encode(), expected.encode())


def _guest(token: str | None) -> Caller:
    if token is None:
        return Caller(GUEST, token_sent=False)
    if is_access_token(token):
        raise InvalidToken("an access token is taken in the Authorization header alone")
    usable = token if _CREDENTIAL.fullmatch(token) else None
    return Caller(Principal(kind="guest", id="guest", credential=usable), token_sent=True)
