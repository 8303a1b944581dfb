"""Access tokens: which are good, and what they say of their bearer.

A token is a JWT as RFC 9068 profiles it, and is taken in exactly the one form in which the user service makes it
(RFC 8725, 3): `alg` EdDSA and `typ` at+jwt, a `kid` that names one of our keys, and nothing else in the header, so
that a token can neither choose how it is verified nor bring its own key. The signature is verified before anything is
believed. Claims that nobody here knows are not looked at.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Literal

from jwt import PyJWS, PyJWTError
from jwt.utils import base64url_decode
from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints, model_validator
from pydantic_core import from_json

from shared_kernel.clock import to_milliseconds
from shared_kernel.errors import Unauthenticated
from shared_kernel.ids import Id
from shared_kernel.permissions import Role

Verify = Callable[[Mapping[str, str], bytes, bytes], Awaitable[bool]]
"""Whether an Ed25519 signature is good: given the public key as a JWK, the signing input and the signature."""

FindKey = Callable[[str], Awaitable["PublicKey | None"]]
"""The key of that `kid`, None where there is none."""

LONGEST_TOKEN = 4_096
AUDIENCE = "pasar-api"
_LEEWAY_SECONDS = 5
_SIGNATURE_BYTES = 64
_FORM = PyJWS(options={"verify_signature": False})

KeyId = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class InvalidToken(Unauthenticated):
    """The token is not good, for whatever reason (RFC 6750, 3.1)."""

    code = "invalid_token"


class PublicKey(BaseModel):
    """An Ed25519 public key (RFC 8037); `x` is 32 bytes in base64url."""

    model_config = ConfigDict(frozen=True)

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    kid: KeyId
    x: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]

    def jwk(self) -> dict[str, str]:
        """What a verifier needs of it."""
        return {"kty": self.kty, "crv": self.crv, "x": self.x}


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    alg: Literal["EdDSA"]
    typ: Literal["at+jwt"]
    kid: KeyId


class Claims(BaseModel):
    """What a good token says; times are in seconds since 1970. A buyer buys for a company."""

    model_config = ConfigDict(frozen=True, strict=True)

    iss: str
    aud: Literal["pasar-api"]
    sub: Id
    sid: Id
    jti: str
    role: Role
    company_id: Id | None = None
    iat: int
    nbf: int
    exp: int

    @model_validator(mode="after")
    def _company_of_a_buyer(self) -> "Claims":
        if self.role == "buyer" and self.company_id is None:
            raise ValueError("a buyer needs a company")
        return self


def is_access_token(token: str) -> bool:
    """Whether the token has the three parts of a signed JWT, which no other token of ours has."""
    return token.count(".") == 2


async def claims_of(token: str, issuer: str, now: datetime, find_key: FindKey, verify: Verify) -> Claims:
    """What the token says; InvalidToken unless it is one that the issuer made for us and it is good now."""
    header, payload, signature = _parts(token)
    key = await find_key(header.kid)
    if key is None:
        raise InvalidToken("the access token is signed by a key that is not ours")
    if not await verify(key.jwk(), token.rpartition(".")[0].encode(), signature):
        raise InvalidToken("the access token's signature is wrong")
    try:
        claims = Claims.model_validate(_members(payload))
    except ValueError:
        raise InvalidToken("the access token lacks a claim, or has one that makes no sense") from None
    if claims.iss != issuer:
        raise InvalidToken("the access token is of another issuer")
    now_seconds = to_milliseconds(now) // 1000
    if now_seconds >= claims.exp + _LEEWAY_SECONDS:
        raise InvalidToken("the access token has expired")
    if now_seconds < max(claims.nbf, claims.iat) - _LEEWAY_SECONDS:
        raise InvalidToken("the access token is not good yet")
    return claims


def _parts(token: str) -> tuple[_Header, bytes, bytes]:
    # PyJWT takes padded parts too; RFC 7515 (2) does not, and one token should have one form.
    if len(token) > LONGEST_TOKEN or not token.isascii() or "=" in token:
        raise _malformed()
    try:
        header = _Header.model_validate(_members(base64url_decode(token.partition(".")[0])))
        parts = _FORM.decode_complete(token)
    except (PyJWTError, ValueError):
        raise _malformed() from None
    if len(parts["signature"]) != _SIGNATURE_BYTES:
        raise _malformed()
    return header, parts["payload"], parts["signature"]


def _malformed() -> InvalidToken:
    return InvalidToken("the token does not have the form of our access tokens")


def _members(text: bytes) -> dict[str, JsonValue]:
    """A JSON object; ValueError for anything else, and where a member is named twice (RFC 7519, 4)."""
    # This one gives up on deep nesting, where json would exhaust the stack.
    from_json(text, allow_inf_nan=False)
    members = json.loads(text, object_pairs_hook=_named_once)
    if not isinstance(members, dict):
        raise ValueError("no object")
    return members


def _named_once(members: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    unique = dict(members)
    if len(unique) < len(members):
        raise ValueError("a member is named twice")
    return unique
