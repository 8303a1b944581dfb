"""Rate limits: how many requests of a class one caller may send in a window, and what the headers tell of it.

The Rate Limiting binding decides, and says only yes or no. What remains is therefore what this isolate has counted
itself, and the window's end is that of the wall clock, as the local runtime has it: on Cloudflare, which counts per
location, both are estimates. The headers are those of draft-ietf-httpapi-ratelimit-headers-10.

People are counted by their account; everyone else by the address, an IPv6 one by its /64, which is what one line
gets. When the binding itself fails the request passes: a shop that turns everyone away because its counter broke does
to itself what the limit should keep others from doing. Sign-ins are counted by the user service besides.
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from shared_kernel.addresses import line_of
from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.errors import TooManyRequests
from shared_kernel.rpc import Principal

Allows = Callable[[str, str], Awaitable[bool]]
"""Counts a request of a class by a key, and tells whether it is within the limit; raises when it cannot."""

MOST_COUNTS = 10_000
_QUOTA = re.compile(r"([1-9][0-9]{0,9});(10|60)")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Quota:
    """How many requests may come in a window, which lasts 10 or 60 s (Rate Limiting binding, `period`)."""

    requests: int
    window_seconds: int

    @staticmethod
    def of(text: str) -> "Quota":
        """The quota of a setting, as `100;60`; ValueError for anything else."""
        match = _QUOTA.fullmatch(text)
        if match is None:
            raise ValueError("a quota is the number of requests, a semicolon, and 10 or 60 seconds")
        return Quota(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class Allowance:
    """What a caller has left of a quota, as far as this isolate knows."""

    limit: str
    quota: Quota
    remaining: int
    resets_in_seconds: int
    is_allowed: bool

    def headers(self) -> Mapping[str, str]:
        """The two header fields of the draft."""
        return {
            "ratelimit-policy": f'"{self.limit}";q={self.quota.requests};w={self.quota.window_seconds}',
            "ratelimit": f'"{self.limit}";r={self.remaining};t={self.resets_in_seconds}',
        }

    def refusal(self) -> TooManyRequests:
        """What a caller is told who is not allowed."""
        return TooManyRequests(
            f"more than {self.quota.requests} requests of the class {self.limit} in {self.quota.window_seconds} s",
            details={"limit": self.limit, "retry_after_seconds": self.resets_in_seconds},
        )


class Limits:
    """Counts requests; one for each isolate, which remembers at most 10,000 callers of the present windows."""

    def __init__(self, allows: Allows, clock: Clock) -> None:
        self._allows = allows
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()

    async def count(self, limit: str, key: str, quota: Quota) -> Allowance:
        """Count one request of the caller that the key names."""
        try:
            is_allowed = await self._allows(limit, key)
        except Exception:
            _log.exception("the limit cannot be asked, so the request passes", extra={"fields": {"limit": limit}})
            is_allowed = True
        now_seconds = to_milliseconds(self._clock()) // 1000
        window, elapsed_seconds = divmod(now_seconds, quota.window_seconds)
        counted = self._counted(limit, key, window, None if is_allowed else quota.requests)
        remaining = max(0, quota.requests - counted)
        return Allowance(limit, quota, remaining, quota.window_seconds - elapsed_seconds, is_allowed)

    def _counted(self, limit: str, key: str, window: int, at_least: int | None) -> int:
        counted_in, count = self._counts.pop((limit, key), (window, 0))
        count = (count if counted_in == window else 0) + 1
        if at_least is not None:
            # Others of this caller's requests were counted in other isolates.
            count = max(count, at_least)
        self._counts[limit, key] = (window, count)
        if len(self._counts) > MOST_COUNTS:
            self._counts.popitem(last=False)
        return count


def key_of(principal: Principal, address: str) -> str:
    """By what a caller is counted."""
    return address_key(address) if principal.kind == "guest" else f"account:{principal.id}"


def address_key(address: str) -> str:
    """By what the callers of an address are counted.

    >>> address_key("2001:db8:1:2:3:4:5:6")
    'address:2001:db8:1:2::/64'
    """
    return f"address:{line_of(address) or 'unknown'}"
