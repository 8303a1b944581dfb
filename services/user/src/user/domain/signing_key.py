"""Signing keys: which one signs now, until when each verifies, and when a new one takes over.

A new key is shown in the JWKS for a while before it signs, and the one before it verifies for as long as a token that
it signed last is good: whoever reads the JWKS knows every key that he can meet.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import Field

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.model import Message

LEEWAY_SECONDS = 60
"""By how much the clocks of those who sign and of those who verify may differ."""


MOST_KEYS = 10
"""That verify at a time: a verifier reads no set of any length, and the gateway the first twenty keys of one."""


class SigningKey(Message):
    """An Ed25519 key pair: the public JWK (RFC 8037) as JSON text, the private one sealed.

    `verifies_until` is None for the newest, which has no successor yet.
    """

    id: str
    public_key: str
    sealed_private_key: str = Field(repr=False)
    signs_from: str
    verifies_until: str | None = None

    def verifies(self, now: datetime) -> bool:
        """Whether a token that this key signed can still be good, or a token will be signed by it."""
        return self.verifies_until is None or rfc3339(now) < self.verifies_until


class Succession(NamedTuple):
    """The two moments of a rotation: the new key signs from the one on, the old ones verify until the other."""

    signs_from: datetime
    old_verify_until: datetime


def succession(now: datetime, overlap_seconds: int, token_seconds: int) -> Succession:
    """When a key that is made now takes over: after every verifier had `overlap_seconds` to hear of it."""
    signs_from = now + timedelta(seconds=overlap_seconds)
    return Succession(signs_from, signs_from + timedelta(seconds=token_seconds + LEEWAY_SECONDS))


def signing(keys: Sequence[SigningKey], now: datetime) -> SigningKey | None:
    """The key that signs now: of those whose time has come the newest.

    That is the one that verifies longest. A successor whose time came earlier than its predecessor's, after the overlap
    was made shorter, thereby keeps the predecessor from ever signing.
    """
    due = [key for key in keys if key.signs_from <= rfc3339(now) and key.verifies(now)]
    return max(due, key=lambda key: (key.verifies_until is None, key.verifies_until or "", key.id), default=None)


def seconds_until_room(keys: Sequence[SigningKey], now: datetime) -> int:
    """In how many seconds one more key may be made: 0 unless MOST_KEYS verify."""
    ends = sorted(key.verifies_until for key in keys if key.verifies_until is not None and key.verifies(now))
    if len(ends) + 1 < MOST_KEYS:
        return 0
    return math.ceil((datetime.fromisoformat(ends[-(MOST_KEYS - 1)]) - now).total_seconds())


def shown(keys: Sequence[SigningKey], now: datetime) -> list[SigningKey]:
    """The keys of the JWKS, in the order in which they come to sign."""
    return sorted((key for key in keys if key.verifies(now)), key=lambda key: key.signs_from)
