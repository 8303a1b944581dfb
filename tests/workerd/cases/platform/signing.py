"""Signing keys by the platform's WebCrypto: they sign what others can verify, and open with their secret only."""

import base64
import json

from shared_kernel.clock import rfc3339
from shared_kernel.errors import Fault
from shared_kernel.sql import Database, Statement
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW
from user.application.signing import Keyring, TokenTerms
from user.domain.account import Account
from user.domain.session import Session
from user.infrastructure.d1_signing_keys import D1SigningKeys
from user.infrastructure.webcrypto import WebCryptoVault

SECRET = "a secret of the tests"
TERMS = TokenTerms("pasar-test", access_token_seconds=600, key_overlap_seconds=300)
ANN = Account.create("usr_1", "ann@example.com", "Ann", "$argon2id$", NOW)


async def test_a_token_and_its_key_for_the_host(user_db: Database) -> dict[str, str]:
    """What it answers, test_user_tokens.py verifies on the host."""
    keyring = Keyring(D1SigningKeys(user_db), WebCryptoVault(SECRET), TERMS)
    token = await keyring.issue(ANN, Session.start("ses_1", ANN.id, NOW, 1000), NOW)
    return {"token": token.text, "jwks": await keyring.published(NOW)}


async def test_a_private_key_is_kept_sealed_and_opens_with_its_secret_only() -> None:
    vault = WebCryptoVault(SECRET)
    key = await vault.make(NOW)
    assert key.signs_from == rfc3339(NOW)
    assert set(json.loads(key.public_key)) == {"kty", "crv", "x"}
    assert b'"d"' not in base64.b64decode(key.sealed_private_key)
    assert len(await vault.sign(key, b"")) == 64
    with raises(Exception):
        await WebCryptoVault("another secret").sign(key, b"")


async def test_under_an_empty_secret_nothing_is_sealed() -> None:
    with raises(Fault):
        await WebCryptoVault("").make(NOW)


async def test_a_sealed_key_cannot_be_put_in_anothers_place() -> None:
    vault = WebCryptoVault(SECRET)
    one, other = await vault.make(NOW), await vault.make(NOW)
    assert one.public_key != other.public_key
    with raises(Exception):
        await vault.sign(one.model_copy(update={"sealed_private_key": other.sealed_private_key}), b"")


async def test_with_another_secret_nothing_is_signed_until_the_keys_are_deleted(user_db: Database) -> None:
    session = Session.start("ses_1", ANN.id, NOW, 1000)
    before = Keyring(D1SigningKeys(user_db), WebCryptoVault(SECRET), TERMS)
    old = await before.published(NOW)
    after = Keyring(D1SigningKeys(user_db), WebCryptoVault("another secret"), TERMS)
    for attempt in (after.issue(ANN, session, NOW), after.check(NOW)):
        with raises(Exception):
            await attempt
    await user_db.batch([Statement("DELETE FROM signing_keys")])
    await after.issue(ANN, session, NOW)
    await after.check(NOW)
    assert await after.published(NOW) != old


async def test_a_signature_of_one_message_is_always_the_same_and_of_another_one_different() -> None:
    vault = WebCryptoVault(SECRET)
    key = await vault.make(NOW)
    first, again, other = [await vault.sign(key, message) for message in (b"one", b"one", b"two")]
    assert first == again != other
