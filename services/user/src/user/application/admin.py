"""What admins do: look at accounts and the audit, give and take rights, and have the signing key replaced."""

from collections.abc import Callable

from shared_kernel.clock import Clock
from shared_kernel.contracts import user as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.cursor import page_of, place_of
from shared_kernel.rpc import Call, Json
from user.application.ports import AUDIT_ORDER, USERS_ORDER, Accounts, Directory
from user.application.signing import Keyring
from user.application.told import Actor, together, told_of
from user.domain.account import Account
from user.domain.errors import UserNotFound


class Admin:
    """Implements contracts.user.Admin for one call; `publish` is asked to send what was just written."""

    def __init__(
        self,
        accounts: Accounts,
        directory: Directory,
        keyring: Keyring,
        call: Call,
        clock: Clock,
        publish: Callable[[], None],
    ) -> None:
        self._accounts = accounts
        self._directory = directory
        self._keyring = keyring
        self._call = call
        self._clock = clock
        self._publish = publish

    async def list_users(self, request: contract.ListUsers) -> Json:
        """One page of accounts; InvalidCursor."""
        self._call.principal.require("users:manage")
        return page_of(await self._directory.users(request, place_of(request.cursor, USERS_ORDER)), request.limit)

    async def get_user(self, request: contract.GetUser) -> contract.User:
        """One account; UserNotFound."""
        self._call.principal.require("users:manage")
        return (await self._account(request.id)).shown()

    async def change_user(self, request: contract.ChangeUser) -> contract.User:
        """The account after the change, which its audit and its events tell; UserNotFound, StaleVersion, LastAdmin."""
        self._call.principal.require("users:manage")
        now = self._clock()
        before = await self._account(request.id)
        changed = before.change_rights(
            request.expected_version,
            request.changes,
            now,
            other_admins=await self._directory.other_admins(before.id),
        )
        if changed is before:
            return before.shown()
        actor = Actor(self._call.principal.id, now, self._call.traceparent)
        rights = changed.rights_since(before)
        told = together(told_of(action, changed.id, changed.id, details, actor) for action, details in rights)
        await self._accounts.replace(changed, told, ending_sessions=changed.disabled)
        self._publish()
        return (await self._account(changed.id)).shown()

    async def list_audit(self, request: contract.ListAudit) -> Json:
        """One page of the audit; InvalidCursor."""
        self._call.principal.require("users:manage")
        return page_of(await self._directory.audit(request, place_of(request.cursor, AUDIT_ORDER)), request.limit)

    async def rotate_keys(self, request: Nothing) -> Json:
        """The JWKS with the new key; TooManyRotations."""
        self._call.principal.require("keys:rotate")
        return await self._keyring.rotate(self._call.principal.id, self._clock())

    async def _account(self, account_id: str) -> Account:
        account = await self._accounts.get(account_id)
        if account is None:
            raise UserNotFound
        return account
