"""The access token: a signed JWT that says for ten minutes who calls (RFC 9068, RFC 7519).

Its form is the compact serialisation of RFC 7515: two JSON texts and a signature, each in base64url.
"""

import base64
import json
from collections.abc import Mapping
from datetime import datetime

from pydantic import JsonValue

from shared_kernel.clock import to_milliseconds
from shared_kernel.permissions import Role

AUDIENCE = "pasar-api"


def header(key_id: str) -> dict[str, JsonValue]:
    """The header of a token that this key signs."""
    return {"alg": "EdDSA", "typ": "at+jwt", "kid": key_id}


def claims(
    token_id: str,
    *,
    issuer: str,
    user_id: str,
    session_id: str,
    role: Role,
    company_id: str | None,
    now: datetime,
    lasts_seconds: int,
) -> dict[str, JsonValue]:
    """What the token says; the times are whole seconds since 1970 (RFC 7519, 2: NumericDate)."""
    at = to_milliseconds(now) // 1000
    told: dict[str, JsonValue] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": user_id,
        "sid": session_id,
        "iat": at,
        "nbf": at,
        "exp": at + lasts_seconds,
        "jti": token_id,
        "role": role,
    }
    return told if company_id is None else {**told, "company_id": company_id}


def signing_input(key_id: str, told: Mapping[str, JsonValue]) -> str:
    """What is signed."""
    return ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header(key_id), told))


def signed(signing_input: str, signature: bytes) -> str:
    """The token."""
    return f"{signing_input}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
