"""Attacks on access tokens: whatever is not exactly a token of ours, and good now, is refused."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.tokens import LONGEST_TOKEN, Claims, InvalidToken, PublicKey, claims_of
from tests.unit.gateway.client import Client, problem_of
from tests.unit.gateway.signing import (
    COMPANY_ID,
    ISSUER,
    KEY,
    KID,
    OTHER_KEY,
    SESSION_IDS,
    USER_IDS,
    access_token,
    claims,
    encoded,
    header,
    public_jwk,
    signed,
    verify,
)

NOW_SECONDS = 1_795_000_000
NOW = datetime.fromtimestamp(NOW_SECONDS, UTC)
# The order of Ed25519's group (RFC 8032, 5.1): with it added, a signature's second half means the same number.
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


def read(token: str) -> Claims:
    """What the token says, by the one key that there is."""

    async def find_key(kid: str) -> PublicKey | None:
        return PublicKey.model_validate(public_jwk()) if kid == KID else None

    return asyncio.run(claims_of(token, ISSUER, NOW, find_key, verify))


def made(now_seconds: int, header_changes: Mapping[str, Any] | None = None, /, **claim_changes: Any) -> str:
    """A token by the right key whose header or claims are changed; None takes a member away."""
    return signed(
        json.dumps(header(**header_changes or {})), json.dumps(claims("customer", now_seconds, **claim_changes))
    )


def in_header(**changes: Any) -> Callable[[int], str]:
    return lambda now_seconds: made(now_seconds, changes)


def in_claims(**changes: Any) -> Callable[[int], str]:
    return lambda now_seconds: made(now_seconds, **changes)


def by(key: Ed25519PrivateKey) -> Callable[[int], str]:
    return lambda now_seconds: signed(json.dumps(header()), json.dumps(claims("customer", now_seconds)), key)


def without_signature(now_seconds: int) -> str:
    words = signed(json.dumps(header(alg="none")), json.dumps(claims("customer", now_seconds))).rpartition(".")[0]
    return f"{words}."


def by_hmac(secret: bytes) -> Callable[[int], str]:
    def forge(now_seconds: int) -> str:
        parts = (header(alg="HS256"), claims("customer", now_seconds))
        words = ".".join(encoded(json.dumps(part).encode()) for part in parts)
        return f"{words}.{encoded(hmac.digest(secret, words.encode(), hashlib.sha256))}"

    return forge


def with_signature(change: Callable[[bytes], bytes]) -> Callable[[int], str]:
    def forge(now_seconds: int) -> str:
        words, _, signature = access_token("customer", now_seconds).rpartition(".")
        return f"{words}.{encoded(change(base64.urlsafe_b64decode(signature + '==')))}"

    return forge


def plus_group_order(signature: bytes) -> bytes:
    scalar = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    return signature[:32] + scalar.to_bytes(32, "little")


def with_text(change: Callable[[str], str]) -> Callable[[int], str]:
    return lambda now_seconds: change(access_token("customer", now_seconds))


def other_last_digit(token: str) -> str:
    """The same signature, but for the bits of its last digit that mean nothing."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + digits[digits.index(token[-1]) ^ 1]


def with_claim_twice(now_seconds: int) -> str:
    text = json.dumps(claims("customer", now_seconds))
    return signed(json.dumps(header()), text[:-1] + ', "role": "admin"}')


def with_header_twice(now_seconds: int) -> str:
    return signed('{"alg": "none", ' + json.dumps(header())[1:], json.dumps(claims("customer", now_seconds)))


def with_claims_text(text: str) -> Callable[[int], str]:
    return lambda _now_seconds: signed(json.dumps(header()), text)


def with_header_text(text: str) -> Callable[[int], str]:
    return lambda now_seconds: signed(text, json.dumps(claims("customer", now_seconds)))


FORGERIES: dict[str, Callable[[int], str]] = {
    "no algorithm, no signature": without_signature,
    "no algorithm, but a signature": in_header(alg="none"),
    "HS256 with the public key's bytes": by_hmac(KEY.public_key().public_bytes_raw()),
    "HS256 with the public key's text": by_hmac(public_jwk()["x"].encode()),
    "HS256 with the public JWK": by_hmac(json.dumps(public_jwk()).encode()),
    "another algorithm": in_header(alg="ES256"),
    "the algorithm in another spelling": in_header(alg="eddsa"),
    "the algorithm's newer name": in_header(alg="Ed25519"),
    "an algorithm that is a list": in_header(alg=["EdDSA"]),
    "another key": by(OTHER_KEY),
    "another issuer": in_claims(iss="https://evil.example"),
    "an issuer that is a list": in_claims(iss=[ISSUER]),
    "no issuer": in_claims(iss=None),
    "another audience": in_claims(aud="elsewhere"),
    "an audience that is a list": in_claims(aud=["pasar-api"]),
    "no audience": in_claims(aud=None),
    "another type": in_header(typ="JWT"),
    "a type with its prefix": in_header(typ="application/at+jwt"),
    "no type": in_header(typ=None),
    "expired": in_claims(exp=1_600_000_000),
    "not valid yet": in_claims(nbf=4_000_000_000),
    "issued in the future": in_claims(iat=4_000_000_000),
    "no expiry": in_claims(exp=None),
    "an expiry that is a text": in_claims(exp="4000000000"),
    "an expiry that is a fraction": in_claims(exp=4_000_000_000.5),
    "an expiry that is true": in_claims(exp=True),
    "an expiry that is not a number": in_claims(exp=float("nan")),
    "an expiry that never comes": in_claims(exp=float("inf")),
    "no beginning": in_claims(nbf=None),
    "no time of issue": in_claims(iat=None),
    "no subject": in_claims(sub=None),
    "a subject that is a path": in_claims(sub="../../admin"),
    "no session": in_claims(sid=None),
    "a session that is SQL": in_claims(sid="' OR 1=1 --"),
    "no token id": in_claims(jti=None),
    "no role": in_claims(role=None),
    "an unknown role": in_claims(role="root"),
    "a service's role": in_claims(role="service"),
    "a buyer of no company": in_claims(role="buyer"),
    "a company that is none": in_claims(company_id="*"),
    "an unknown kid": in_header(kid="key-2"),
    "no kid": in_header(kid=None),
    "an empty kid": in_header(kid=""),
    "a kid that is a path": in_header(kid="../../../../dev/null"),
    "a kid that is SQL": in_header(kid="key-1' OR '1'='1"),
    "a long kid": in_header(kid="k" * 2_000),
    "a kid that is a number": in_header(kid=1),
    "a key inside": in_header(jwk=public_jwk()),
    "keys from elsewhere": in_header(jku="https://evil.example/jwks.json"),
    "a certificate from elsewhere": in_header(x5u="https://evil.example/key.pem"),
    "a certificate inside": in_header(x5c=["MIIB"]),
    "a critical extension": in_header(crit=["exp"]),
    "an unencoded payload": in_header(crit=["b64"], b64=False),
    "compression": in_header(zip="DEF"),
    "a claim twice": with_claim_twice,
    "a header member twice": with_header_twice,
    "claims that are no object": with_claims_text("[]"),
    "claims that are no JSON": with_claims_text("role=admin"),
    "claims nested deeply": with_claims_text("[" * 2_000),
    "a header that is no object": with_header_text('"EdDSA"'),
    "a header nested deeply": with_header_text("[" * 2_000),
    "a header that is no JSON": with_header_text("{"),
    "no signature": with_signature(lambda _signature: b""),
    "half a signature": with_signature(lambda signature: signature[:32]),
    "a longer signature": with_signature(lambda signature: signature + b"\0"),
    "a changed signature": with_signature(lambda signature: bytes([signature[0] ^ 1]) + signature[1:]),
    "the signature's other scalar": with_signature(plus_group_order),
    "a signature of nothing": with_signature(lambda _signature: bytes(64)),
    "the last digit's idle bits": with_text(other_last_digit),
    "padding": with_text(lambda token: token + "=="),
    "padding of the header": with_text(lambda token: token.replace(".", "=.", 1)),
    "the other base64": with_text(lambda token: token.translate(str.maketrans("-_", "+/")) + "+"),
    "a line break": with_text(lambda token: token[:40] + "\n" + token[40:]),
    "a space": with_text(lambda token: token.replace(".", " .", 1)),
    "a letter outside ASCII": with_text(lambda token: token[:-1] + "\u00e9"),
    "a letter that looks like one": with_text(lambda token: "\u0435" + token[1:]),
    "no parts": lambda _now_seconds: "..",
    "a huge token": in_claims(jti="j" * 1_000_000),
    "a token somewhat too long": in_claims(jti="j" * LONGEST_TOKEN),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_token_says_nothing(forge: Callable[[int], str]) -> None:
    with pytest.raises(InvalidToken):
        read(forge(NOW_SECONDS))


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
@pytest.mark.parametrize("target", ["/api/users/me", "/api/warehouses", "/api/products", f"/api/orders/ord_{'0' * 26}"])
def test_forged_token_is_401_on_every_route_that_looks_at_tokens(target: str, forge: Callable[[int], str]) -> None:
    client = Client()
    now_seconds = int(datetime.now(UTC).timestamp())
    response = client.ask("GET", target, token=forge(now_seconds))
    problem_of(response, 401, "invalid_token")
    assert response.headers["www-authenticate"] == 'Bearer realm="pasar", error="invalid_token"'
    assert {method for method, _ in client.shop.asked} <= {"get_keys"}


def test_good_token_says_whose_it_is() -> None:
    told = read(access_token("buyer", NOW_SECONDS))
    assert (told.sub, told.sid, told.role) == (USER_IDS["buyer"], SESSION_IDS["buyer"], "buyer")
    assert told.company_id == COMPANY_ID


def test_claim_that_nobody_here_knows_is_not_looked_at() -> None:
    assert read(made(NOW_SECONDS, scope="everything")).role == "customer"


@pytest.mark.parametrize(("exp", "nbf"), [(-4, 0), (600, 5), (1, -600)])
def test_clocks_may_differ_by_five_seconds(exp: int, nbf: int) -> None:
    assert read(made(NOW_SECONDS, exp=NOW_SECONDS + exp, nbf=NOW_SECONDS + nbf)).role == "customer"


@pytest.mark.parametrize("changes", [{"exp": -5}, {"nbf": 6}, {"iat": 6}])
def test_clocks_may_not_differ_by_more(changes: dict[str, int]) -> None:
    moments = {name: NOW_SECONDS + offset for name, offset in changes.items()}
    with pytest.raises(InvalidToken):
        read(made(NOW_SECONDS, None, **moments))


def test_key_that_is_not_to_be_had_is_not_asked_to_verify() -> None:
    async def find_key(_kid: str) -> PublicKey | None:
        return None

    async def never(_jwk: Mapping[str, str], _words: bytes, _signature: bytes) -> bool:
        raise AssertionError("there is no key")

    with pytest.raises(InvalidToken, match="not ours"):
        asyncio.run(claims_of(access_token("customer", NOW_SECONDS), ISSUER, NOW, find_key, never))


def test_longest_token_is_still_read() -> None:
    room = LONGEST_TOKEN - len(made(NOW_SECONDS, jti="j"))
    token = made(NOW_SECONDS, jti="j" * (room * 3 // 4))
    assert LONGEST_TOKEN - 8 < len(token) <= LONGEST_TOKEN
    assert read(token).role == "customer"
