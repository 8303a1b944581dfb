"""The wholesale company: its review by staff, and its members.

pending -> approved or rejected, once. Its founder is its first admin; others come when it is approved, as active
members where they have an account and as invited ones where they do not. One company is all that an account may
belong to, a rejected one does not count. At least one active admin who can act is left after every change.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.company import CompanyAddress, CompanyStatus, MemberRole, MemberStatus, NewCompany
from shared_kernel.money import Money
from user.domain.company_errors import (
    AlreadyAMember,
    AlreadyReviewed,
    CompanyFull,
    CompanyNotApproved,
    LastCompanyAdmin,
    MemberNotFound,
    NegativeAmount,
    ReasonRequired,
    StaleMember,
    TaxIdTaken,
)
from user.domain.tokens import digest

MOST_MEMBERS = 500
INVITATION_SECONDS = 14 * 24 * 60 * 60


@dataclass(frozen=True)
class Account:
    """An account that could become a member: where it is one already, and what it has spent for the company in
    question."""

    id: str
    email: str
    name: str
    can_act: bool
    company_id: str | None = None
    spent: tuple[Money, ...] = ()


@dataclass(frozen=True)
class Founding:
    """What stands in the way of a new company: the founder's own one, or that its tax number is taken."""

    founder: Account | None
    tax_id_taken: bool


@dataclass(frozen=True)
class Invitation:
    """An invitation that nobody has taken: the account that takes it gets `user_id`, and this role in the company."""

    company_id: str
    user_id: str
    email: str
    role: MemberRole
    spending_limit: Money | None
    expires_at: str
    version: int

    def is_good_for(self, email: str, now: datetime) -> bool:
        """Whether an account with this address may take it now."""
        return email.lower() == self.email and rfc3339(now) < self.expires_at

    def as_member(self) -> "Member":
        """The member who has taken it."""
        return Member(self.user_id, self.email, None, self.role, "active", self.spending_limit)


@dataclass(frozen=True)
class Member:
    """A member; `can_act` is false for disabled accounts and for those that are no customers (any more).

    One who is invited has the digest of the token with which he registers, and the time until which it is good.
    """

    user_id: str
    email: str
    name: str | None
    role: MemberRole
    status: MemberStatus
    spending_limit: Money | None = None
    can_act: bool = False
    spent: tuple[Money, ...] = ()
    version: int = 1
    token_digest: str | None = None
    invitation_expires_at: str | None = None

    @property
    def is_admin(self) -> bool:
        """Whether he can act as the company's admin."""
        return self.role == "admin" and self.status == "active" and self.can_act

    def changed(self, expected_version: int, role: MemberRole, spending_limit: Money | None) -> "Member":
        """The member with this role and limit, itself where he has both; StaleMember, NegativeAmount."""
        if expected_version != self.version:
            raise StaleMember(f"the member is at version {self.version} by now", details={"version": self.version})
        if (role, spending_limit) == (self.role, self.spending_limit):
            return self
        return replace(self, role=role, spending_limit=_checked(spending_limit), version=self.version + 1)


class MembersSince(NamedTuple):
    """How the members of a company differ from those before."""

    gone: list[Member]
    changed: list[Member]
    new: list[Member]


@dataclass(frozen=True)
class Company:
    """A company with its members; its version counts their changes too."""

    id: str
    name: str
    tax_id: str
    address: CompanyAddress
    status: CompanyStatus
    reason: str | None
    members: tuple[Member, ...]
    version: int
    created_at: str
    updated_at: str

    def member(self, user_id: str) -> Member:
        """The member with this account, invited or active; MemberNotFound."""
        found = next((each for each in self.members if each.user_id == user_id), None)
        if found is None:
            raise MemberNotFound
        return found

    def has_member(self, user_id: str) -> bool:
        """Whether this is one of its active members."""
        return any(each.user_id == user_id and each.status == "active" for each in self.members)

    def has_admin(self, user_id: str) -> bool:
        """Whether this is one of its admins."""
        return any(each.user_id == user_id and each.is_admin for each in self.members)

    @property
    def is_led(self) -> bool:
        """Whether one of its admins can act."""
        return any(each.is_admin for each in self.members)

    def members_since(self, before: "Company | None") -> MembersSince:
        """Who is gone, who changed, and who is new."""
        known = {} if before is None else {each.user_id: each for each in before.members}
        kept = {each.user_id for each in self.members}
        return MembersSince(
            [each for each in known.values() if each.user_id not in kept],
            [each for each in self.members if each.user_id in known and each != known[each.user_id]],
            [each for each in self.members if each.user_id not in known],
        )

    def reviewed(self, decision: CompanyStatus, reason: str | None, at: datetime) -> "Company":
        """The company as staff decided, itself when they had decided so; AlreadyReviewed, ReasonRequired."""
        if self.status == decision:
            return self
        if self.status != "pending":
            raise AlreadyReviewed(f"the company was {self.status}, which is for good", details={"status": self.status})
        if decision == "rejected" and reason is None:
            raise ReasonRequired
        return self._changed(at, replace(self, status=decision, reason=reason))

    def joined_by(self, account: Account, role: MemberRole, spending_limit: Money | None, at: datetime) -> "Company":
        """The company with this account as an active member; an invitation to its address is taken back.

        CompanyNotApproved, AlreadyAMember, CompanyFull, NegativeAmount.
        """
        # First of all: whose company nobody has looked at is not told which accounts belong to another one.
        self._require_approved()
        if account.company_id is not None:
            raise AlreadyAMember("this account is a member of a company already")
        new = Member(
            user_id=account.id,
            email=account.email,
            name=account.name,
            role=role,
            status="active",
            spending_limit=_checked(spending_limit),
            can_act=account.can_act,
            spent=account.spent,
        )
        kept = (each for each in self.members if not (each.status == "invited" and each.email == account.email))
        return self._with(new, kept, at)

    def inviting(self, new: Member, at: datetime) -> "Company":
        """The company with one who is invited; CompanyNotApproved, AlreadyAMember, CompanyFull, NegativeAmount."""
        self._require_approved()
        if any(each.email == new.email for each in self.members):
            raise AlreadyAMember("this address was invited; to invite it anew, take the invitation back first")
        _checked(new.spending_limit)
        return self._with(new, self.members, at)

    def with_changed(self, member: Member, at: datetime) -> "Company":
        """The company with a member changed, itself where he is the same; MemberNotFound, LastCompanyAdmin."""
        before = self.member(member.user_id)
        if member == before:
            return self
        members = tuple(member if each is before else each for each in self.members)
        changed = self._changed(at, replace(self, members=members))
        # Where none of its admins can act, who is made one has to be able to.
        return self._keeping_an_admin(member if member.role == "admin" else before, changed)

    def without(self, user_id: str, at: datetime) -> "Company":
        """The company without a member, or without one who was invited; MemberNotFound, LastCompanyAdmin."""
        gone = self.member(user_id)
        members = tuple(each for each in self.members if each is not gone)
        return self._keeping_an_admin(gone, self._changed(at, replace(self, members=members)))

    def _require_approved(self) -> None:
        if self.status != "approved":
            raise CompanyNotApproved(f"the company is {self.status}: nobody can be invited to it")

    def _with(self, new: Member, kept: Iterable[Member], at: datetime) -> "Company":
        members = (*kept, new)
        if len(members) > MOST_MEMBERS:
            raise CompanyFull(f"a company has at most {MOST_MEMBERS} members", details={"limit": MOST_MEMBERS})
        return self._changed(at, replace(self, members=members))

    def _keeping_an_admin(self, one: Member, changed: "Company") -> "Company":
        """Whoever is no admin may always go, even where no admin is left who can act."""
        if one.role == "admin" and not changed.is_led:
            raise LastCompanyAdmin
        return changed

    def _changed(self, at: datetime, company: "Company") -> "Company":
        return replace(company, updated_at=rfc3339(at), version=self.version + 1)


def founded(company_id: str, new: NewCompany, founding: Founding, at: datetime) -> Company:
    """A pending company whose only member is its founder, as its admin; MemberNotFound where he has no account,
    AlreadyAMember, TaxIdTaken."""
    founder = founding.founder
    if founder is None:
        raise MemberNotFound
    if founder.company_id is not None:
        raise AlreadyAMember("this account is a member of a company already")
    if founding.tax_id_taken:
        raise TaxIdTaken
    admin = Member(
        user_id=founder.id,
        email=founder.email,
        name=founder.name,
        role="admin",
        status="active",
        can_act=founder.can_act,
    )
    return Company(
        id=company_id,
        name=new.name,
        tax_id=new.tax_id,
        address=new.address,
        status="pending",
        reason=None,
        members=(admin,),
        version=1,
        created_at=rfc3339(at),
        updated_at=rfc3339(at),
    )


def invited(
    user_id: str, email: str, role: MemberRole, spending_limit: Money | None, token: str, at: datetime
) -> Member:
    """One who has no account yet: he registers with the token, and gets this id."""
    return Member(
        user_id=user_id,
        email=email,
        name=None,
        role=role,
        status="invited",
        spending_limit=spending_limit,
        token_digest=digest(token),
        invitation_expires_at=rfc3339(at + timedelta(seconds=INVITATION_SECONDS)),
    )


def _checked(limit: Money | None) -> Money | None:
    if limit is not None and limit.amount < 0:
        raise NegativeAmount("a spending limit is zero or more")
    return limit
