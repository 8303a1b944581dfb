"""Who a session's person is now: an access token says it as of ten minutes ago, the user service as of now.

What the user service says counts for five seconds. While it does not answer, the latest of what it said and what the
token claims counts, until the token expires (docs/decisions/0006). That a session has ended is never forgotten for
want of an answer, and not asked again: an ended session does not come back.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.tokens import InvalidToken
from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.contracts.user import Standing
from shared_kernel.errors import Fault, Unauthenticated

KEPT_MS = 5_000
MOST_SESSIONS = 5_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Heard:
    """What was said of a session, None when it has ended, and when."""

    standing: Standing | None
    at_ms: int


class Standings:
    """The standings of the sessions that called last; one for each isolate."""

    def __init__(self, clock: Clock, most_sessions: int = MOST_SESSIONS) -> None:
        self._clock = clock
        self._most_sessions = most_sessions
        self._heard: OrderedDict[str, _Heard] = OrderedDict()

    async def find(
        self, claimed: Standing, session_id: str, issued_ms: int, ask: Callable[[], Awaitable[Standing]]
    ) -> Standing:
        """The standing of a session whose token claimed another when it was issued; InvalidToken once it has ended."""
        heard, said = self._heard.get(session_id), None
        if heard is None or (heard.standing is not None and to_milliseconds(self._clock()) - heard.at_ms >= KEPT_MS):
            said = await self._hear(session_id, ask)
            # Another request may have heard meanwhile, later than this one, that the session has ended.
            heard = self._heard.get(session_id)
        latest = heard if said is None or (heard is not None and heard.standing is None) else said
        if latest is None:
            return claimed
        self._keep(session_id, latest)
        if latest.standing is None:
            raise InvalidToken("the session has ended")
        return latest.standing if latest is said or latest.at_ms >= issued_ms else claimed

    async def _hear(self, session_id: str, ask: Callable[[], Awaitable[Standing]]) -> _Heard | None:
        """What is said of it now; None when nobody answers."""
        standing: Standing | None
        try:
            standing = await ask()
        except Unauthenticated:
            standing = None
        except Fault as failure:
            _log.warning("the standing of a session is not known: %s", failure.code)
            return None
        return _Heard(standing, to_milliseconds(self._clock()))

    def _keep(self, session_id: str, heard: _Heard) -> None:
        self._heard[session_id] = heard
        self._heard.move_to_end(session_id)
        while len(self._heard) > self._most_sessions:
            self._heard.popitem(last=False)
