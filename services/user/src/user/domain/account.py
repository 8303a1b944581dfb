"""The account: which rights it has, how they change, and what is told of each change.

A customer is a buyer while he is an active member of an approved company; staff and admins are what they were given.
"""

from datetime import datetime
from typing import NamedTuple

from pydantic import Field, JsonValue

from shared_kernel.clock import rfc3339
from shared_kernel.contracts import user as contract
from shared_kernel.contracts.model import Message
from shared_kernel.permissions import Role
from user.domain.errors import LastAdmin, StaleVersion


class ChangeOfRights(NamedTuple):
    """One right that changed: the name under which it is told and audited, and what it was and is."""

    action: str
    details: dict[str, JsonValue]


class Account(Message):
    """An account with everything that is known of it; each change makes a new one, one version on.

    `company_id` is the approved company whose active member it is, which is kept with the company.
    """

    id: str
    email: str
    name: str
    password_hash: str = Field(repr=False)
    given_role: contract.GivenRole
    disabled: bool
    company_id: str | None = None
    version: int
    created_at: str
    updated_at: str

    @staticmethod
    def create(account_id: str, email: str, name: str, password_hash: str, now: datetime) -> "Account":
        """A customer's account; its address is kept in lower case, in which it is compared."""
        return Account(
            id=account_id,
            email=email.lower(),
            name=name,
            password_hash=password_hash,
            given_role="customer",
            disabled=False,
            version=1,
            created_at=rfc3339(now),
            updated_at=rfc3339(now),
        )

    @property
    def role(self) -> Role:
        """The role that the account has now."""
        return "buyer" if self.given_role == "customer" and self.company_id is not None else self.given_role

    @property
    def buys_for(self) -> str | None:
        """The company for which a buyer acts; None for everyone else."""
        return self.company_id if self.role == "buyer" else None

    @property
    def is_active_admin(self) -> bool:
        """Whether the account can give rights."""
        return self.given_role == "admin" and not self.disabled

    def change_profile(self, expected_version: int, changes: contract.ProfileChanges, now: datetime) -> "Account":
        """The next version, or this very one when nothing differs; StaleVersion."""
        return self._changed(expected_version, now, name=changes.name)

    def change_rights(
        self, expected_version: int, changes: contract.UserChanges, now: datetime, *, other_admins: int
    ) -> "Account":
        """The next version, or this very one when nothing differs.

        StaleVersion; LastAdmin when no other account (`other_admins` counts them) could give rights any more.
        """
        changed = self._changed(
            expected_version,
            now,
            given_role=self.given_role if changes.role is None else changes.role,
            disabled=self.disabled if changes.disabled is None else changes.disabled,
        )
        if self.is_active_admin and not changed.is_active_admin and other_admins == 0:
            raise LastAdmin
        return changed

    def rights_since(self, before: "Account") -> list[ChangeOfRights]:
        """What this version changed of the rights of the one before."""
        changes = []
        if self.given_role != before.given_role:
            changes.append(ChangeOfRights("user.role_changed", {"from": before.given_role, "to": self.given_role}))
        if self.disabled != before.disabled:
            changes.append(ChangeOfRights("user.disabled" if self.disabled else "user.enabled", {}))
        return changes

    def shown(self) -> contract.User:
        """The account as its owner and admins see it."""
        return contract.User(
            id=self.id,
            email=self.email,
            name=self.name,
            role=self.role,
            disabled=self.disabled,
            company_id=self.company_id,
            version=self.version,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    def _changed(self, expected_version: int, now: datetime, **values: object) -> "Account":
        if expected_version != self.version:
            raise StaleVersion(self.version)
        changed = self.model_copy(update=values)
        if changed == self:
            return self
        return changed.model_copy(update={"version": self.version + 1, "updated_at": rfc3339(now)})
