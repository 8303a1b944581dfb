"""What people do with their own accounts: register, sign in and out, change their names and passwords."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from shared_kernel.clock import Clock, to_milliseconds
from shared_kernel.contracts import user as contract
from shared_kernel.contracts.model import Health, Nothing
from shared_kernel.errors import Unauthenticated
from shared_kernel.ids import new_id
from shared_kernel.rpc import Call
from user.application.company_events import joined
from user.application.passwords import Passwords
from user.application.ports import Accounts as AllAccounts
from user.application.ports import Attempts, Directory, Invitations, Sessions, Told
from user.application.signing import Keyring
from user.application.told import Actor, together, told_of
from user.domain.account import Account
from user.domain.attempts import Limits, Origin
from user.domain.audit import AuditEntry, entry
from user.domain.company import Invitation
from user.domain.errors import (
    InvalidCredentials,
    InvalidToken,
    InvitationNotValid,
    UserNotFound,
    WrongPassword,
)
from user.domain.session import Session
from user.domain.tokens import digest, new_token

_log = logging.getLogger(__name__)


class Stores(NamedTuple):
    """Where everything is kept that belongs to accounts."""

    accounts: AllAccounts
    invitations: Invitations
    sessions: Sessions
    attempts: Attempts
    directory: Directory


class SignInTerms(NamedTuple):
    """How long a session lasts, and how many attempts to sign in may fail."""

    session_seconds: int
    limits: Limits


class Accounts:
    """Implements contracts.user.Accounts for one call; `publish` is asked to send what was just written."""

    def __init__(
        self,
        stores: Stores,
        passwords: Passwords,
        keyring: Keyring,
        terms: SignInTerms,
        call: Call,
        clock: Clock,
        publish: Callable[[], None],
    ) -> None:
        self._accounts, self._invitations, self._sessions, self._attempts, self._directory = stores
        self._passwords = passwords
        self._keyring = keyring
        self._terms = terms
        self._call = call
        self._principal = call.principal
        self._clock = clock
        self._publish = publish

    async def register(self, request: contract.Register) -> contract.User:
        """A customer's account, or that of the member that was invited.

        EmailTaken, PasswordNotAllowed, InvitationNotValid.
        """
        now = self._clock()
        invitation = await self._invitation(request, now)
        account_id = new_id("usr", now) if invitation is None else invitation.user_id
        password_hash = self._passwords.chosen(request.password, request.email, request.name)
        account = Account.create(account_id, request.email, request.name, password_hash, now)
        actor = Actor(account.id, now, self._call.traceparent)
        told = told_of("user.registered", account.id, account.id, {"role": account.given_role}, actor)
        if invitation is not None:
            told = together([told, joined(invitation, actor)])
        await self._accounts.add(account, invitation, now, told)
        self._publish()
        return account.shown() if invitation is None else (await self._account(account.id)).shown()

    async def sign_in(self, request: contract.SignInFrom) -> contract.Tokens:
        """A new session; InvalidCredentials, TooManySignIns."""
        now = self._clock()
        origin = Origin.of(request.email, request.address)
        await self._attempts.begin(origin, self._terms.limits, now)
        account = await self._verified(request)
        # From here on it was no guess: what goes wrong on our side must not lock anybody out.
        await self._attempts.succeeded(origin)
        answer = await self._opened(account, request.password, now)
        if answer is None:
            # A sign-in at the same moment may have renewed the hash, which happens once.
            answer = await self._opened(await self._verified(request), request.password, now)
        if answer is None:
            raise InvalidCredentials
        return answer

    async def refresh(self, request: contract.RefreshSession) -> contract.Tokens:
        """The session's next tokens; InvalidToken, and the session ends when the token was used before."""
        now = self._clock()
        shown_digest = digest(request.refresh_token)
        shown = await self._sessions.shown(shown_digest)
        if shown is None or shown.verdict(now) != "rotates":
            await self._end_if_reused(shown_digest, now)
            raise InvalidToken
        account = await self._accounts.get(shown.session.user_id)
        if account is None or account.disabled:
            raise InvalidToken
        following = new_token()
        answer = await self._tokens(account, shown.session, following, now)
        if not await self._sessions.rotate(shown_digest, digest(following), now):
            await self._end_if_reused(shown_digest, now)
            raise InvalidToken
        return answer

    async def sign_out(self, request: contract.SignOut) -> Nothing:
        """End the session of the refresh token, or of the caller without one, or all of the account's."""
        now = self._clock()
        if request.refresh_token is not None:
            await self._sign_out_by(digest(request.refresh_token), request.everywhere, now)
            return Nothing()
        session_id = self._principal.session_id
        if session_id is None:
            raise Unauthenticated("neither a refresh token nor an access token names a session")
        await self._end(self._principal.id, session_id, request.everywhere, now)
        return Nothing()

    async def get_me(self, request: Nothing) -> contract.User:
        """The caller's account; UserNotFound."""
        self._principal.require("account:use")
        return (await self._account(self._principal.id)).shown()

    async def change_me(self, request: contract.ChangeProfile) -> contract.User:
        """The caller's account after the change; StaleVersion."""
        self._principal.require("account:use")
        account = await self._account(self._principal.id)
        changed = account.change_profile(request.expected_version, request.changes, self._clock())
        if changed is not account:
            await self._accounts.replace(changed, Told())
        return changed.shown()

    async def change_password(self, request: contract.ChangePassword) -> Nothing:
        """Replace the password, and end every other session; WrongPassword, PasswordNotAllowed, TooManySignIns."""
        self._principal.require("account:use")
        now = self._clock()
        account = await self._account(self._principal.id)
        # Where the caller is does not matter here: he is counted by his account, as if that were a place of its own.
        origin = Origin.of(account.email, account.id)
        await self._attempts.begin(origin, self._terms.limits, now)
        if not self._passwords.verified(account, request.current_password):
            raise WrongPassword
        await self._attempts.succeeded(origin)
        password_hash = self._passwords.chosen(request.new_password, account.email, account.name)
        told = Told([entry("user.password_changed", account.id, account.id, now)])
        kept = self._principal.session_id
        if not await self._accounts.set_password(account, password_hash, kept, now, told):
            raise WrongPassword
        return Nothing()

    async def health(self, request: Nothing) -> Health:
        """Whether the accounts can be read, and whether the secret opens the key that signs."""
        started_ms = to_milliseconds(self._clock())
        try:
            await self._directory.check()
        except Exception:
            _log.exception("the accounts cannot be read")
            return Health(status="degraded", database="unavailable")
        database_ms = to_milliseconds(self._clock()) - started_ms
        try:
            await self._keyring.check(self._clock())
        except Exception:
            _log.exception("nothing can be signed")
            return Health(status="degraded", database="ok", database_ms=database_ms, secrets="unusable")
        return Health(status="ok", database="ok", database_ms=database_ms, secrets="ok")

    async def _account(self, account_id: str) -> Account:
        account = await self._accounts.get(account_id)
        if account is None:
            raise UserNotFound
        return account

    async def _invitation(self, request: contract.Register, now: datetime) -> Invitation | None:
        if request.invitation_token is None:
            return None
        invitation = await self._invitations.invitation(digest(request.invitation_token))
        if invitation is None or not invitation.is_good_for(request.email, now):
            raise InvitationNotValid
        return invitation

    async def _verified(self, request: contract.SignIn) -> Account:
        account = await self._accounts.find(request.email)
        if not self._passwords.verified(account, request.password) or account is None:
            raise InvalidCredentials
        return account

    async def _opened(self, account: Account, password: str, now: datetime) -> contract.Tokens | None:
        """A new session's tokens, or None when the account is another one by now than the one that was verified."""
        session = Session.start(new_id("ses", now), account.id, now, self._terms.session_seconds)
        refresh_token = new_token()
        answer = await self._tokens(account, session, refresh_token, now)
        new_hash = self._passwords.renewed(account, password)
        is_open = await self._sessions.open(session, digest(refresh_token), account.password_hash, new_hash)
        return answer if is_open else None

    async def _tokens(self, account: Account, session: Session, refresh_token: str, now: datetime) -> contract.Tokens:
        token = await self._keyring.issue(account, session, now)
        return contract.Tokens(
            access_token=token.text, expires_in=token.expires_in_seconds, refresh_token=refresh_token
        )

    async def _end_if_reused(self, shown_digest: str, now: datetime) -> None:
        shown = await self._sessions.shown(shown_digest)
        if shown is not None and shown.verdict(now) == "reused":
            session = shown.session
            told = entry("session.reuse_detected", session.user_id, session.user_id, now, {"session_id": session.id})
            await self._sessions.end(session.user_id, session.id, now, told)

    async def _sign_out_by(self, shown_digest: str, everywhere: bool, now: datetime) -> None:
        shown = await self._sessions.shown(shown_digest)
        if shown is None:
            return
        if shown.verdict(now) == "rotates":
            await self._end(shown.session.user_id, shown.session.id, everywhere, now)
        else:
            await self._end_if_reused(shown_digest, now)

    async def _end(self, user_id: str, session_id: str, everywhere: bool, now: datetime) -> None:
        told: AuditEntry
        if everywhere:
            told = entry("session.all_ended", user_id, user_id, now)
        else:
            told = entry("session.ended", user_id, user_id, now, {"session_id": session_id})
        await self._sessions.end(user_id, None if everywhere else session_id, now, told)
