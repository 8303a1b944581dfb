"""What the use cases need: where accounts, sessions, keys and attempts are kept, and who does the cryptography."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from shared_kernel.contracts.user import ListAudit, ListUsers, Standing
from shared_kernel.cursor import Cursor, Listed
from shared_kernel.events import Event
from user.domain.account import Account
from user.domain.attempts import Limits, Origin
from user.domain.audit import AuditEntry
from user.domain.company import Invitation
from user.domain.session import Session, ShownToken
from user.domain.signing_key import SigningKey

USERS_ORDER, AUDIT_ORDER = "users", "audit"
"""The names of the two lists' orders, which their cursors carry."""


class Told(NamedTuple):
    """What is written in the same transaction as a change: its audit entries, and the events that tell of it."""

    entries: Sequence[AuditEntry] = ()
    events: Sequence[Event] = ()


class Accounts(Protocol):
    """The accounts."""

    async def get(self, account_id: str) -> Account | None:
        """The account, or None."""
        ...

    async def find(self, email: str) -> Account | None:
        """The account with this address, whatever its case, or None."""
        ...

    async def add(self, account: Account, invitation: Invitation | None, now: datetime, told: Told) -> None:
        """Write a new account, and take the invitation; EmailTaken, InvitationNotValid."""
        ...

    async def replace(self, account: Account, told: Told, *, ending_sessions: bool = False) -> None:
        """Write the version after the one that is kept; StaleVersion, UserNotFound, LastAdmin."""
        ...

    async def set_password(
        self, before: Account, password_hash: str, kept_session_id: str | None, now: datetime, told: Told
    ) -> bool:
        """Replace the hash, and end the account's sessions but one; False when `before` has another hash by now."""
        ...


class Directory(Protocol):
    """The accounts and the audit as admins look at them: JSON text, made where the data is."""

    async def other_admins(self, account_id: str) -> int:
        """How many other accounts could give rights."""
        ...

    async def users(self, wanted: ListUsers, after: Cursor | None) -> list[Listed]:
        """At most `limit` + 1 accounts, newest first: the one too many tells that there are more."""
        ...

    async def audit(self, wanted: ListAudit, after: Cursor | None) -> list[Listed]:
        """At most `limit` + 1 entries, newest first; those of a company with those of its members."""
        ...

    async def check(self) -> None:
        """Raises when the accounts cannot be read."""
        ...


class Invitations(Protocol):
    """The invitations to companies that nobody has taken yet."""

    async def invitation(self, token_digest: str) -> Invitation | None:
        """The one whose token has this digest, or None."""
        ...


class Sessions(Protocol):
    """Sessions and their refresh tokens, of which only digests are kept."""

    async def open(self, session: Session, digest: str, verified_hash: str, new_hash: str | None) -> bool:
        """Write a session with its first token, and the password's new hash where there is one.

        False, and nothing is written, when the account is disabled or has another hash than the one that was verified.
        """
        ...

    async def shown(self, digest: str) -> ShownToken | None:
        """The refresh token with this digest, or None."""
        ...

    async def rotate(self, shown_digest: str, next_digest: str, now: datetime) -> bool:
        """Use the token up and write the next one; False when it was used or its session ended in the meantime."""
        ...

    async def end(self, user_id: str, session_id: str | None, now: datetime, entry: AuditEntry) -> bool:
        """End the session, or all of the account's; False, and no entry is written, when none of them lived."""
        ...

    async def standing(self, session_id: str, now: datetime) -> Standing | None:
        """Who the session's person is now; None when it does not live, or the account is disabled."""
        ...


class Attempts(Protocol):
    """The attempts to sign in that are remembered."""

    async def begin(self, origin: Origin, limits: Limits, now: datetime) -> None:
        """Count an attempt; TooManySignIns."""
        ...

    async def succeeded(self, origin: Origin) -> None:
        """Forget the attempts at this account from this address."""
        ...


class SigningKeys(Protocol):
    """The keys that sign access tokens."""

    async def all(self) -> list[SigningKey]:
        """Every key that is kept."""
        ...

    async def add_first(self, key: SigningKey) -> bool:
        """Write the first key; False when there is one already."""
        ...

    async def add_next(self, key: SigningKey, old_verify_until: datetime, told: Told) -> None:
        """Write the newest key, and let the one before verify until then."""
        ...


class PasswordHasher(Protocol):
    """Slow hashes of passwords, each with its parameters in its text."""

    def hash(self, password: str) -> str:
        """A new hash with the present parameters."""
        ...

    def verify(self, password_hash: str, password: str) -> bool:
        """Whether the password is the one that was hashed."""
        ...

    def decoy(self) -> str:
        """A hash with the present parameters that no password has; cheap to make."""
        ...

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with weaker parameters than the present ones."""
        ...


class KeyVault(Protocol):
    """Makes signing keys and signs with them; a private key leaves it only sealed."""

    async def make(self, signs_from: datetime) -> SigningKey:
        """A new key pair that signs from then on."""
        ...

    async def sign(self, key: SigningKey, message: bytes) -> bytes:
        """An Ed25519 signature (RFC 8032); raises when the key cannot be unsealed."""
        ...
