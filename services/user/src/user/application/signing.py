"""Signing: which access tokens are given out, which keys are shown, and how a key is replaced."""

import json
from datetime import datetime, timedelta
from typing import NamedTuple

from shared_kernel.errors import Fault
from shared_kernel.ids import new_id
from shared_kernel.rpc import Json
from user.application.ports import KeyVault, SigningKeys, Told
from user.domain import access_token
from user.domain.account import Account
from user.domain.audit import entry
from user.domain.errors import TooManyRotations
from user.domain.session import Session
from user.domain.signing_key import LEEWAY_SECONDS, SigningKey, seconds_until_room, shown, signing, succession


class TokenTerms(NamedTuple):
    """Who issues access tokens, for how long each is good, and how long before it signs a key is shown."""

    issuer: str
    access_token_seconds: int
    key_overlap_seconds: int


class AccessToken(NamedTuple):
    """A token, and for how many seconds it is good."""

    text: str
    expires_in_seconds: int


class Keyring:
    """The keys that sign, in the order in which they come to."""

    def __init__(self, keys: SigningKeys, vault: KeyVault, terms: TokenTerms) -> None:
        self._keys = keys
        self._vault = vault
        self._terms = terms

    async def issue(self, account: Account, session: Session, now: datetime) -> AccessToken:
        """A token for this session, which is good no longer than the session lasts."""
        key = signing(await self._made(now), now)
        if key is None:
            raise Fault("no signing key is good now")
        lasts_seconds = min(self._terms.access_token_seconds, session.seconds_left(now))
        told = access_token.claims(
            new_id("jti", now),
            issuer=self._terms.issuer,
            user_id=account.id,
            session_id=session.id,
            role=account.role,
            company_id=account.buys_for,
            now=now,
            lasts_seconds=lasts_seconds,
        )
        unsigned = access_token.signing_input(key.id, told)
        signature = await self._vault.sign(key, unsigned.encode())
        return AccessToken(access_token.signed(unsigned, signature), lasts_seconds)

    async def published(self, now: datetime) -> Json:
        """The JWKS; the first key is made when there is none, so that it is shown before it is met."""
        return _jwks(await self._made(now), now)

    async def rotate(self, actor_id: str, now: datetime) -> Json:
        """Make the next key, and say when the one before verifies no more: the JWKS after it; TooManyRotations."""
        wait_seconds = seconds_until_room(await self._made(now), now)
        if wait_seconds > 0:
            raise TooManyRotations(wait_seconds)
        following = succession(now, self._terms.key_overlap_seconds, self._terms.access_token_seconds)
        key = await self._vault.make(following.signs_from)
        told = Told([entry("keys.rotated", actor_id, key.id, now, {"signs_from": key.signs_from})])
        await self._keys.add_next(key, following.old_verify_until, told)
        return _jwks(await self._keys.all(), now)

    async def check(self, now: datetime) -> None:
        """Raises when nothing can be signed."""
        key = signing(await self._made(now), now)
        if key is None:
            raise Fault("no signing key is good now")
        await self._vault.sign(key, b"")

    async def _made(self, now: datetime) -> list[SigningKey]:
        """All keys, the first of them made now where there was none; of two that are made at once, one is kept."""
        keys = await self._keys.all()
        if keys:
            return keys
        # Who came a little before it was made, and comes to sign after, must not find it too early to sign.
        first = await self._vault.make(now - timedelta(seconds=LEEWAY_SECONDS))
        return [first] if await self._keys.add_first(first) else await self._keys.all()


def _jwks(keys: list[SigningKey], now: datetime) -> Json:
    public = [{**json.loads(key.public_key), "kid": key.id, "use": "sig", "alg": "EdDSA"} for key in shown(keys, now)]
    return Json(json.dumps({"keys": public}))
