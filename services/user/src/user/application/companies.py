"""Founding and reviewing companies, and the care of their members: load, decide, save.

A member or staff sees a company; for everybody else it does not exist.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from shared_kernel.clock import Clock
from shared_kernel.contracts import company as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.cursor import page_of, place_of
from shared_kernel.errors import Unavailable
from shared_kernel.ids import new_id
from shared_kernel.rpc import Call, Json
from shared_kernel.sql import ConstraintViolated
from user.application import company_events
from user.application.company_ports import Companies as AllCompanies
from user.application.ports import Told
from user.application.told import Actor
from user.domain.company import Company, Member, founded, invited
from user.domain.company_errors import CompanyNotFound, NotACompanyAdmin
from user.domain.tokens import new_token

ROUNDS = 32
ORDER = "companies"

Answer = TypeVar("Answer")


class Companies:
    """Implements contracts.company.Companies for one call; `publish` sends what was put into the outbox."""

    def __init__(self, companies: AllCompanies, call: Call, clock: Clock, publish: Callable[[], None]) -> None:
        self._companies = companies
        self._call = call
        self._principal = call.principal
        self._clock = clock
        self._publish = publish

    async def found_company(self, request: contract.NewCompany) -> contract.Company:
        """The caller's pending company; AlreadyAMember, TaxIdTaken."""
        self._principal.require("company:use")

        async def attempt(now: datetime) -> contract.Company:
            founding = await self._companies.founding(self._principal.id, request.tax_id)
            company = founded(new_id("cmp", now), request, founding, now)
            await self._save(None, company, company_events.founded(company, self._actor(now)))
            return shown(company)

        return await self._decided(attempt)

    async def get_company(self, request: contract.GetCompany) -> contract.Company:
        """One company; CompanyNotFound for those who may not see it."""
        return shown(await self._seen(request.id))

    async def list_companies(self, request: contract.ListCompanies) -> Json:
        """One page; InvalidCursor."""
        self._principal.require("companies:review")
        return page_of(await self._companies.page(request, place_of(request.cursor, ORDER)), request.limit)

    async def review_company(self, request: contract.ReviewCompany) -> contract.Company:
        """The company as staff decided; CompanyNotFound, AlreadyReviewed, ReasonRequired."""
        self._principal.require("companies:review")

        async def attempt(now: datetime) -> contract.Company:
            before = await self._seen(request.id)
            after = before.reviewed(request.decision, request.reason, now)
            if after is not before:
                await self._save(before, after, company_events.reviewed(after, self._actor(now)))
            return shown(after)

        return await self._decided(attempt)

    async def add_member(self, request: contract.AddMember) -> contract.Member:
        """The member, or the invitation with its token; CompanyNotApproved, AlreadyAMember, CompanyFull."""
        email, role, limit = request.member.email.lower(), request.member.role, request.member.spending_limit
        token = new_token()

        async def attempt(now: datetime) -> contract.Member:
            before = await self._administered(request.company_id)
            account = await self._companies.account(email, before.id)
            if account is None:
                one = invited(new_id("usr", now), email, role, limit, token, now)
                after = before.inviting(one, now)
            else:
                after = before.joined_by(account, role, limit, now)
                one = after.member(account.id)
            await self._save(before, after, company_events.members(before, after, self._actor(now)))
            return shown_member(one, token if account is None else None)

        return await self._decided(attempt)

    async def change_member(self, request: contract.ChangeMember) -> contract.Member:
        """The member after the change; MemberNotFound, StaleMember, LastCompanyAdmin."""
        only_makes_admin = request.role == "admin" and request.keeps_limit

        async def attempt(now: datetime) -> contract.Member:
            before = await (self._led if only_makes_admin else self._administered)(request.company_id)
            one = before.member(request.user_id)
            limit = one.spending_limit if request.keeps_limit else request.spending_limit
            changed = one.changed(request.expected_version, request.role or one.role, limit)
            after = before.with_changed(changed, now)
            if after is not before:
                await self._save(before, after, company_events.members(before, after, self._actor(now)))
            return shown_member(changed)

        return await self._decided(attempt)

    async def remove_member(self, request: contract.RemoveMember) -> Nothing:
        """Without him from now on, or without his invitation; MemberNotFound, LastCompanyAdmin."""

        async def attempt(now: datetime) -> Nothing:
            leaves = request.user_id == self._principal.id
            before = await (self._seen if leaves else self._administered)(request.company_id)
            after = before.without(request.user_id, now)
            await self._save(before, after, company_events.members(before, after, self._actor(now)))
            return Nothing()

        return await self._decided(attempt)

    async def _seen(self, company_id: str) -> Company:
        self._principal.require("account:use")
        company = await self._companies.get(company_id)
        if company is None or not (self._principal.may("companies:review") or company.has_member(self._principal.id)):
            raise CompanyNotFound
        return company

    async def _administered(self, company_id: str) -> Company:
        company = await self._seen(company_id)
        if not company.has_admin(self._principal.id):
            raise NotACompanyAdmin
        return company

    async def _led(self, company_id: str) -> Company:
        """The company for those who may give it an admin: its own, and staff where none of these can act."""
        if self._principal.may("companies:review"):
            company = await self._seen(company_id)
            if not company.is_led:
                return company
        return await self._administered(company_id)

    def _actor(self, now: datetime) -> Actor:
        return Actor(self._principal.id, now, self._call.traceparent)

    async def _save(self, before: Company | None, after: Company, told: Told) -> None:
        await self._companies.save(before, after, told)
        self._publish()

    async def _decided(self, attempt: Callable[[datetime], Awaitable[Answer]]) -> Answer:
        """What the attempt answers, made again when another was quicker: n rivals cost at most n rounds.

        Unavailable after ROUNDS of them: nothing was changed, and the same call may be repeated.
        """
        refusal: ConstraintViolated | None = None
        for _ in range(ROUNDS):
            try:
                return await attempt(self._clock())
            except ConstraintViolated as lost:
                refusal = lost
        raise Unavailable("others kept changing the same company; nothing was changed, try again") from refusal


def shown(company: Company) -> contract.Company:
    """The company as its members and staff see it."""
    return contract.Company(
        id=company.id,
        name=company.name,
        tax_id=company.tax_id,
        address=company.address,
        status=company.status,
        reason=company.reason,
        members=[shown_member(each) for each in company.members],
        version=company.version,
        created_at=company.created_at,
        updated_at=company.updated_at,
    )


def shown_member(member: Member, token: str | None = None) -> contract.Member:
    """The member as others see him; the token is for him who has just invited."""
    return contract.Member(
        user_id=member.user_id,
        email=member.email,
        name=member.name,
        role=member.role,
        status=member.status,
        spending_limit=member.spending_limit,
        spent=list(member.spent),
        version=member.version,
        invitation_token=token,
    )
