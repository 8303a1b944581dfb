"""The keys that access tokens are signed with, as this isolate has heard of them.

The user service's JWKS is asked for anew after a minute, and at once for a key that it did not name, but never sooner
than five seconds after the last time: whoever sends tokens of unknown keys does not make us ask for each. While the
user service does not answer, what it said last goes on (docs/decisions/0006).
"""

import logging
from collections.abc import Awaitable, Callable

from pydantic import BaseModel, JsonValue, ValidationError

from gateway.tokens import PublicKey
from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.errors import Fault, Unavailable

KEPT_MS = 60_000
PAUSE_MS = 5_000
_MOST_KEYS = 20

_log = logging.getLogger(__name__)


class _KeySet(BaseModel):
    keys: list[dict[str, JsonValue]]


class SigningKeys:
    """The JWKS; one for each isolate."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._heard_ms: int | None = None
        self._asked_ms = 0

    async def find(self, kid: str, ask: Callable[[], Awaitable[str]]) -> PublicKey | None:
        """The key of that name, None where there is none; `ask` gives the JWKS as text.

        Unavailable when it was never heard.
        """
        now_ms = to_milliseconds(self._clock())
        if self._heard_ms is None or (
            (kid not in self._keys or now_ms - self._heard_ms >= KEPT_MS) and now_ms - self._asked_ms >= PAUSE_MS
        ):
            await self._hear(ask)
        return self._keys.get(kid)

    async def _hear(self, ask: Callable[[], Awaitable[str]]) -> None:
        try:
            self._keys = _read(await ask())
            self._heard_ms = to_milliseconds(self._clock())
        except Fault as failure:
            if self._heard_ms is None:
                raise Unavailable("nobody says with which keys access tokens are signed") from failure
            _log.warning("the signing keys that were heard last go on: %s", failure.code)
        finally:
            self._asked_ms = to_milliseconds(self._clock())


def _read(text: str) -> dict[str, PublicKey]:
    try:
        listed = _KeySet.model_validate_json(text).keys
    except ValidationError as failure:
        raise Fault("the user service's JWKS is none") from failure
    keys: dict[str, PublicKey] = {}
    for each in listed[:_MOST_KEYS]:
        try:
            key = PublicKey.model_validate(each)
        except ValidationError:
            # A set may hold keys of other kinds, which are to be passed over (RFC 7517, 5).
            continue
        keys[key.kid] = key
    return keys
