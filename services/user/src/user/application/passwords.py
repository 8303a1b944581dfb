"""Passwords in use: chosen, verified with the same work whether there is an account or not, and hashed anew."""

from collections.abc import Container

from user.application.ports import PasswordHasher
from user.domain.account import Account
from user.domain.password import allowed, normalised


class Passwords:
    """The passwords of accounts; `common` holds those that nobody may choose."""

    def __init__(self, hasher: PasswordHasher, common: Container[str]) -> None:
        self._hasher = hasher
        self._common = common

    def chosen(self, password: str, email: str, name: str) -> str:
        """The hash of a new password; PasswordNotAllowed."""
        return self._hasher.hash(allowed(password, email, name, self._common))

    def verified(self, account: Account | None, password: str) -> bool:
        """Whether this is the password of an account that is not disabled.

        One hash is computed in any case, so that the time tells nothing of the address.
        """
        password_hash = self._hasher.decoy() if account is None else account.password_hash
        matches = self._hasher.verify(password_hash, normalised(password))
        return matches and account is not None and not account.disabled

    def renewed(self, account: Account, password: str) -> str | None:
        """A hash with the present parameters, of the password that was verified; None where it has them already."""
        if not self._hasher.is_outdated(account.password_hash):
            return None
        return self._hasher.hash(normalised(password))
