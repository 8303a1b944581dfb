"""A token that the Worker has signed by WebCrypto, verified on the host by a library that knows nothing of it."""

import json

import httpx
import jwt
import pytest

from tests.workerd.cases.scratch import NOW

CASE = "platform.signing.test_a_token_and_its_key_for_the_host"


@pytest.fixture(scope="module")
def signed(worker: httpx.Client) -> dict[str, str]:
    told: dict[str, str] = worker.post(f"/{CASE}").json()["told"]
    return told


def claims(token: str, jwk: dict[str, str]) -> dict[str, object]:
    return jwt.decode(
        token,
        jwt.PyJWK(jwk),
        algorithms=["EdDSA"],
        issuer="pasar-test",
        audience="pasar-api",
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )


def test_token_of_the_worker_verifies_with_its_published_key(signed: dict[str, str]) -> None:
    (key,) = json.loads(signed["jwks"])["keys"]
    assert jwt.get_unverified_header(signed["token"]) == {"alg": "EdDSA", "typ": "at+jwt", "kid": key["kid"]}
    told = claims(signed["token"], key)
    at = int(NOW.timestamp())
    assert (told["sub"], told["sid"], told["role"]) == ("usr_1", "ses_1", "customer")
    assert (told["iat"], told["nbf"], told["exp"]) == (at, at, at + 600)


def test_token_that_was_altered_does_not_verify(signed: dict[str, str]) -> None:
    (key,) = json.loads(signed["jwks"])["keys"]
    head, _, signature = signed["token"].split(".")
    forged = jwt.encode({"sub": "usr_2"}, "x" * 32, algorithm="HS256").split(".")[1]
    with pytest.raises(jwt.InvalidSignatureError):
        claims(f"{head}.{forged}.{signature}", key)
