"""Attempts to sign in: how many may fail before nobody is let in for a while, and by what they are counted.

An attempt counts from before its password is looked at, so that many at once cannot all slip through; one that succeeds
is forgotten. Counting for an account and an address together keeps one stranger from locking the owner out; the two
wider limits are for guesses at one account from many places, and at many accounts from one. Whoever commands many
addresses can use up the account's limit, and so keep its owner from signing in anew while he goes on; the owner's
sessions last. That is the price of a bound on guessing (NIST SP 800-63B-4, 3.2.2).
"""

import hashlib
from typing import NamedTuple

from shared_kernel.addresses import line_of


class Limits(NamedTuple):
    """How many attempts may fail within the window: for an account from one address, for an account from wherever, and
    from an address at whatever account."""

    together: int
    per_account: int
    per_address: int
    window_seconds: int

    def window_starts_ms(self, now_ms: int) -> int:
        """What was before does not count any more."""
        return now_ms - self.window_seconds * 1000

    def retry_after_seconds(self, blocking_ms: int, now_ms: int) -> int:
        """In how many seconds the attempt that blocks the next one is forgotten, rounded up."""
        return max(1, -(-(blocking_ms + self.window_seconds * 1000 - now_ms) // 1000))


class Origin(NamedTuple):
    """An account and an address as attempts are counted, by digests, from which they can only be guessed."""

    account: str
    address: str

    @staticmethod
    def of(email: str, address: str) -> "Origin":
        """The origin of an attempt at this account from this address, an IPv6 one by its network."""
        return Origin(_digest("account", email.lower()), _digest("address", line_of(address) or address))


def _digest(kind: str, words: str) -> str:
    return hashlib.sha256(f"{kind}:{words}".encode()).hexdigest()
