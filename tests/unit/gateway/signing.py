"""What the user service signs for the tests: its keys, the access tokens of people of every role, and their check."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared_kernel.contracts.user import Standing
from shared_kernel.permissions import Role

ISSUER = "pasar-test"
KID = "key-1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))

COMPANY_ID = "com_01JDC0MPANY000000000000000"
ROLES: tuple[Role, ...] = ("customer", "buyer", "staff", "admin")
USER_IDS: Mapping[Role, str] = {role: f"usr_{place:026d}" for place, role in enumerate(ROLES)}
SESSION_IDS: Mapping[Role, str] = {role: f"ses_{place:026d}" for place, role in enumerate(ROLES)}


def standing_of(role: Role) -> Standing:
    """The person of this role, as the user service knows him."""
    return Standing(user_id=USER_IDS[role], role=role, company_id=COMPANY_ID if role == "buyer" else None)


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_jwk(key: Ed25519PrivateKey = KEY, kid: str = KID) -> dict[str, str]:
    """The key as a JWKS lists it."""
    x = encoded(key.public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x}


def jwks(*keys: Mapping[str, Any]) -> str:
    """The keys as a JWKS; the one key of the tests where none is given."""
    return json.dumps({"keys": list(keys) or [public_jwk()]})


def header(**changes: Any) -> dict[str, Any]:
    """A good token's header, but for the changes; None takes a member away."""
    return _changed({"alg": "EdDSA", "typ": "at+jwt", "kid": KID}, changes)


def claims(role: Role = "customer", now_seconds: int | None = None, /, **changes: Any) -> dict[str, Any]:
    """A good token's claims, but for the changes; None takes a claim away."""
    now_seconds = int(time.time()) if now_seconds is None else now_seconds
    good = {
        "iss": ISSUER,
        "aud": "pasar-api",
        "sub": USER_IDS[role],
        "sid": SESSION_IDS[role],
        "jti": f"jti-{role}",
        "role": role,
        "iat": now_seconds,
        "nbf": now_seconds,
        "exp": now_seconds + 600,
    }
    return _changed(good | ({"company_id": COMPANY_ID} if role == "buyer" else {}), changes)


def _changed(members: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not None}


def signed(header_text: str, claims_text: str, key: Ed25519PrivateKey = KEY) -> str:
    """The token of these two JSON texts."""
    words = f"{encoded(header_text.encode())}.{encoded(claims_text.encode())}"
    return f"{words}.{encoded(key.sign(words.encode()))}"


def access_token(role: Role = "customer", now_seconds: int | None = None, /, **changes: Any) -> str:
    """A good token of a person of this role, but for the changed claims."""
    return signed(json.dumps(header()), json.dumps(claims(role, now_seconds, **changes)))


async def verify(jwk: Mapping[str, str], signing_input: bytes, signature: bytes) -> bool:
    """Whether the signature is good, as WebCrypto says it in the Worker."""
    assert (set(jwk), jwk["kty"], jwk["crv"]) == ({"kty", "crv", "x"}, "OKP", "Ed25519")
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(jwk["x"] + "="))
    try:
        key.verify(signature, signing_input)
    except InvalidSignature:
        return False
    return True
