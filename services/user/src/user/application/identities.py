"""How the gateway knows who calls: the keys that verify tokens, and what a session's person is now."""

from shared_kernel.clock import Clock
from shared_kernel.contracts import user as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.rpc import Json, Principal
from user.application.ports import Sessions
from user.application.signing import Keyring
from user.domain.errors import InvalidToken


class Identities:
    """Implements contracts.user.Identities for one call."""

    def __init__(self, sessions: Sessions, keyring: Keyring, principal: Principal, clock: Clock) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._principal = principal
        self._clock = clock

    async def get_keys(self, request: Nothing) -> Json:
        """The JWKS, for anybody."""
        return await self._keyring.published(self._clock())

    async def get_standing(self, request: contract.CheckSession) -> contract.Standing:
        """Who the session's person is; InvalidToken."""
        self._principal.require_service()
        standing = await self._sessions.standing(request.session_id, self._clock())
        if standing is None:
            raise InvalidToken
        return standing
