"""Changes of companies at the same moment: each is decided on what the one before it left."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Literal

import pytest

from shared_kernel.contracts import company as contract
from shared_kernel.cursor import Cursor, Listed
from shared_kernel.errors import Unavailable
from shared_kernel.sql import ConstraintViolated, Outcome, SqlValue, Statement
from tests.unit.sqlite_database import SqliteDatabase, migrations
from tests.unit.user.company_world import World, description, email, run, user
from user.application.companies import ROUNDS
from user.application.ports import Told
from user.domain.company import Account, Company, Founding
from user.domain.company_errors import (
    AlreadyAMember,
    AlreadyReviewed,
    LastCompanyAdmin,
    StaleMember,
)


def test_of_two_companies_that_add_an_account_at_the_same_moment_one_gets_it() -> None:
    world = World()
    one, other = world.approved("ani"), world.approved("citra", tax_id="2")
    world.account("budi")
    rival = contract.AddMember(company_id=other, member=contract.NewMember(email=email("budi"), role="buyer"))
    world.database.meanwhile = lambda: world.companies("citra").add_member(rival)
    with pytest.raises(AlreadyAMember):
        world.add("ani", one, "budi")
    assert world.buys_for("budi") == other
    assert [kind for kind, _, _ in world.events()].count("company.member_added") == 1


def test_change_that_another_came_before_is_stale() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    world.add("ani", company_id, "budi")
    rival = contract.ChangeMember(
        company_id=company_id, user_id=user("budi"), expected_version=1, role="approver", keeps_limit=True
    )
    world.database.meanwhile = lambda: world.companies("ani").change_member(rival)
    with pytest.raises(StaleMember):
        world.change("ani", company_id, "budi", role="admin", version=1)
    assert world.member(company_id, "budi").role == "approver"


def test_of_two_last_admins_who_leave_at_the_same_moment_one_stays() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    world.add("ani", company_id, "budi", "admin")
    rival = contract.RemoveMember(company_id=company_id, user_id=user("budi"))
    world.database.meanwhile = lambda: world.companies("budi").remove_member(rival)
    with pytest.raises(LastCompanyAdmin):
        world.remove("ani", company_id, user("ani"))
    assert [each.user_id for each in world.seen(company_id, "ani").members] == [user("ani")]


class Contested:
    """Companies of which every change is refused, because another was quicker."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self.saves = 0

    async def get(self, company_id: str) -> Company | None:
        return self._company

    async def founding(self, founder_id: str, tax_id: str) -> Founding:
        raise AssertionError

    async def account(self, email: str, company_id: str) -> Account | None:
        return None

    async def save(self, before: Company | None, after: Company, told: Told) -> None:
        self.saves += 1
        raise ConstraintViolated("the company was changed by another")

    async def page(self, wanted: contract.ListCompanies, after: Cursor | None) -> Sequence[Listed]:
        raise AssertionError


def test_who_is_never_quick_enough_is_told_to_come_again() -> None:
    world = World()
    company_id = world.approved("ani")
    company = run(world.stored.get(company_id))
    assert company is not None
    contested = Contested(company)
    with pytest.raises(Unavailable):
        run(world.companies("ani", stored=contested).add_member(_invitation(company_id)))
    assert contested.saves == ROUNDS


def _invitation(company_id: str, person: str = "x") -> contract.AddMember:
    return contract.AddMember(company_id=company_id, member=contract.NewMember(email=email(person), role="buyer"))


class SharedDatabase(SqliteDatabase):
    """Each call first lets others run, as a call over the network does."""

    async def text(self, sql: str, *parameters: SqlValue) -> str | None:
        await asyncio.sleep(0)
        return await super().text(sql, *parameters)

    async def batch(self, statements: Sequence[Statement]) -> list[Outcome]:
        await asyncio.sleep(0)
        return await super().batch(statements)


def at_once(calls: Sequence[Coroutine[Any, Any, object]]) -> list[object]:
    """What each call answers or raises when all of them run side by side."""

    async def whole() -> list[object]:
        return list(await asyncio.gather(*calls, return_exceptions=True))

    return run(whole())


def test_members_that_are_added_at_once_are_all_there() -> None:
    world = World(SharedDatabase(migrations("user")))
    company_id = world.approved("ani")
    people = [f"p{number}" for number in range(ROUNDS - 1)]
    world.accounts(*people)
    answers = at_once([world.companies("ani").add_member(_invitation(company_id, person)) for person in people])
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    company = world.seen(company_id, "ani")
    assert {each.user_id for each in company.members} == {user(person) for person in (*people, "ani")}
    assert company.version == 2 + len(people)
    assert len(world.events()) == company.version


def test_one_address_that_is_invited_many_times_at_once_is_invited_once() -> None:
    world = World(SharedDatabase(migrations("user")))
    company_id = world.approved("ani")
    answers = at_once([world.companies("ani").add_member(_invitation(company_id)) for _ in range(5)])
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyAMember"] * 4 + ["Member"]
    assert len(world.seen(company_id, "ani").members) == 2


def test_founder_who_asks_many_times_at_once_has_one_company() -> None:
    world = World(SharedDatabase(migrations("user")))
    world.account("ani")
    answers = at_once([world.companies("ani").found_company(description(str(number))) for number in range(5)])
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyAMember"] * 4 + ["Company"]
    assert [kind for kind, _, _ in world.events()] == ["company.founded"]


def test_of_many_reviews_at_once_one_decides() -> None:
    world = World(SharedDatabase(migrations("user")))
    world.account("ani")
    company = world.founded("ani")
    decisions: list[Literal["approved", "rejected"]] = ["approved", "rejected", "rejected", "approved"]
    requests = [contract.ReviewCompany(id=company.id, decision=one, reason="r") for one in decisions]
    answers = at_once([world.staff.review_company(request) for request in requests])
    decided = world.seen(company.id, "ani")
    agreeing = [answer for answer in answers if answer == decided]
    assert len(agreeing) == 2
    assert sum(isinstance(answer, AlreadyReviewed) for answer in answers) == 2
    assert (decided.version, len(world.events())) == (2, 2)
