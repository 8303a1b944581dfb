"""Attacks on access tokens: whatever is not exactly a token of ours opens nothing."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import JsonValue

from tests.system.forgery import Forgery, Part, encoded, parts, signing_input
from tests.system.people import People, Person, bearer
from tests.system.shop import Shop, problem


def public_key(shop: Shop, kid: JsonValue) -> Part:
    """The key of that name which the shop publishes."""
    keys = shop.ask("GET", "/.well-known/jwks.json").json()["keys"]
    found: Part = next(key for key in keys if key["kid"] == kid)
    return found


def by_another_key(header: Part, claims: Part) -> str:
    """A token of these parts that somebody else has signed."""
    words = signing_input(header, claims)
    return f"{words}.{encoded(Ed25519PrivateKey.generate().sign(words.encode()))}"


def without_signature(header: Part, claims: Part) -> str:
    """`alg: none` (RFC 8725, 2.1)."""
    return signing_input({**header, "alg": "none"}, claims) + "."


def with_own_key_inside(header: Part, claims: Part) -> str:
    """A token that brings the key with which it is to be verified (`jwk`)."""
    key = Ed25519PrivateKey.generate()
    public = encoded(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    jwk: Part = {"kty": "OKP", "crv": "Ed25519", "x": public, "kid": header["kid"]}
    words = signing_input({**header, "jwk": jwk}, claims)
    return f"{words}.{encoded(key.sign(words.encode()))}"


def header_changed(**changes: JsonValue) -> Callable[[Part, Part], str]:
    """Forges with another header, by a key that is not ours."""
    return lambda header, claims: by_another_key({**header, **changes}, claims)


def claims_changed(**changes: JsonValue) -> Callable[[Part, Part], str]:
    """Forges with other claims, by a key that is not ours."""
    return lambda header, claims: by_another_key(header, {**claims, **changes})


FORGERIES: dict[str, Callable[[Part, Part], str]] = {
    "no algorithm": without_signature,
    "another key": by_another_key,
    "a key inside": with_own_key_inside,
    "a key from elsewhere": header_changed(jku="https://evil.example/keys.json"),
    "a certificate from elsewhere": header_changed(x5u="https://evil.example/cert.pem"),
    "a critical extension": header_changed(crit=["b64"], b64=False),
    "a kid that is a path": header_changed(kid="../../../../dev/null"),
    "a kid that is SQL": header_changed(kid="' OR 1=1 --"),
    "an unknown kid": header_changed(kid="unknown"),
    "no kid": header_changed(kid=None),
    "a long kid": header_changed(kid="k" * 2_000),
    "another type": header_changed(typ="JWT"),
    "an admin's role": claims_changed(role="admin"),
    "another issuer": claims_changed(iss="https://evil.example"),
}


SIGNED_WRONG: dict[str, tuple[Part, Part]] = {
    "another type": ({"typ": "JWT"}, {}),
    "no type": ({"typ": None}, {}),
    "another algorithm": ({"alg": "ES256"}, {}),
    "a key inside": ({"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}}, {}),
    "a critical extension": ({"crit": ["exp"]}, {}),
    "another issuer": ({}, {"iss": "https://evil.example"}),
    "no issuer": ({}, {"iss": None}),
    "another audience": ({}, {"aud": "another-api"}),
    "many audiences": ({}, {"aud": ["another-api", "third-api"]}),
    "expired": ({}, {"exp": int(time.time()) - 60}),
    "no end": ({}, {"exp": None}),
    "an end that is text": ({}, {"exp": "tomorrow"}),
    "not yet valid": ({}, {"nbf": int(time.time()) + 86_400}),
    "a session that is none": ({}, {"sid": "ses_" + "0" * 26}),
    "no session": ({}, {"sid": None}),
    "no subject": ({}, {"sub": None}),
}


@pytest.mark.parametrize(("header", "claims"), SIGNED_WRONG.values(), ids=SIGNED_WRONG.keys())
def test_good_signature_is_not_enough(shop: Shop, forgery: Forgery, victim: Person, header: Part, claims: Part) -> None:
    refused(shop, forgery.changed(victim, header, claims))


def test_forgery_with_nothing_changed_is_good(shop: Shop, forgery: Forgery, victim: Person) -> None:
    token = forgery.changed(victim)
    assert shop.ask("GET", "/api/users/me", headers=bearer(token)).status_code == 200


@pytest.fixture(scope="module")
def victim(people: People) -> Person:
    """Somebody whose token is good."""
    return people.customer()


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_token_opens_nothing(shop: Shop, victim: Person, forge: Callable[[Part, Part], str]) -> None:
    header, claims, _ = parts(victim.tokens.access_token)
    refused(shop, forge(header, claims))


def test_token_signed_by_hmac_with_the_public_key_opens_nothing(shop: Shop, victim: Person) -> None:
    header, claims, _ = parts(victim.tokens.access_token)
    jwk = public_key(shop, header["kid"])
    secrets = (
        json.dumps(jwk).encode(),
        str(jwk["x"]).encode(),
        base64.urlsafe_b64decode(str(jwk["x"]) + "="),
    )
    for secret in secrets:
        words = signing_input({**header, "alg": "HS256"}, claims)
        refused(shop, f"{words}.{encoded(hmac.digest(secret, words.encode(), hashlib.sha256))}")


def test_claims_cannot_be_changed_under_a_signature(shop: Shop, victim: Person) -> None:
    header, claims, signature = parts(victim.tokens.access_token)
    for change in ({"role": "admin"}, {"exp": int(time.time()) + 10**6}, {"sub": "usr_" + "0" * 26}):
        refused(shop, f"{signing_input(header, {**claims, **change})}.{signature}")


def test_signature_counts_as_it_was_made(shop: Shop, victim: Person) -> None:
    words, _, signature = victim.tokens.access_token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[0] ^= 1
    for changed in (encoded(bytes(raw)), "", signature[:-4], signature + "AAAA", "A" * len(signature)):
        refused(shop, f"{words}.{changed}")


def test_refresh_token_is_no_access_token(shop: Shop, victim: Person) -> None:
    refused(shop, victim.tokens.refresh_token)


def test_token_in_the_address_is_not_taken(shop: Shop, victim: Person) -> None:
    answer = shop.ask("GET", f"/api/users/me?access_token={victim.tokens.access_token}")
    assert answer.status_code == 401


def test_access_token_says_what_it_is(shop: Shop, victim: Person) -> None:
    header, claims, _ = parts(victim.tokens.access_token)
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    assert set(header) == {"alg", "typ", "kid"}
    assert (claims["sub"], claims["aud"], claims["role"]) == (victim.user.id, "pasar-api", "customer")
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == victim.tokens.expires_in == 600
    assert public_key(shop, header["kid"])["crv"] == "Ed25519"


def test_published_keys_hold_nothing_private(shop: Shop) -> None:
    for key in shop.ask("GET", "/.well-known/jwks.json").json()["keys"]:
        assert "d" not in key


def test_rotation_fails_no_request_and_leaves_old_tokens_good(shop: Shop, people: People) -> None:
    before = people.customer()
    rotated = shop.ask("POST", "/api/signing-keys/rotate", headers=people.admin.headers)
    assert rotated.status_code == 200, rotated.text
    published = {key["kid"] for key in shop.ask("GET", "/.well-known/jwks.json").json()["keys"]}
    assert len(published) >= 2
    after = people.customer()
    for person in (before, after):
        assert shop.ask("GET", "/api/users/me", headers=person.headers).status_code == 200
        assert parts(person.tokens.access_token)[0]["kid"] in published


def refused(shop: Shop, token: str) -> None:
    """The token opens neither what needs somebody nor what is for anyone, and nothing is done."""
    problem(shop.ask("GET", "/api/users/me", headers=bearer(token)), 401, "invalid_token")
    body = {"name": f"Palsu {uuid.uuid4().hex}"}
    problem(shop.ask("POST", "/api/categories", body, headers=bearer(token)), 401, "invalid_token")
