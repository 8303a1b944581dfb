"""The members of a company: who comes, as what, and who goes."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from pydantic import JsonValue

from shared_kernel.contracts import company as contract
from shared_kernel.errors import Forbidden, Unauthenticated
from tests.unit.user.company_world import World, email, idr, run, usd, user
from user.application.companies import Companies
from user.domain.company import MOST_MEMBERS, Account, Member
from user.domain.company_errors import (
    AlreadyAMember,
    CompanyFull,
    CompanyNotApproved,
    CompanyNotFound,
    LastCompanyAdmin,
    MemberNotFound,
    NegativeAmount,
    NotACompanyAdmin,
    StaleMember,
)


def test_account_that_exists_is_a_member_and_a_buyer_at_once() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    member = world.add("ani", company_id, "budi", "approver", idr(500))
    assert (member.user_id, member.role, member.status) == (user("budi"), "approver", "active")
    assert (member.spending_limit, member.version, member.invitation_token) == (idr(500), 1, None)
    assert world.buys_for("budi") == company_id
    company = world.seen(company_id, "budi")
    assert company.members[1] == member
    assert company.version == 3
    data = told(company_id, "approver", {"amount": 500, "currency": "IDR"})
    assert world.events()[-1] == ("company.member_added", company_id, data)
    assert world.audit()[-1] == ("company.member_added", user("ani"), user("budi"), data)


def test_address_is_compared_in_lower_case() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    new = contract.NewMember(email="Budi@Example.COM", role="buyer")
    request = contract.AddMember(company_id=company_id, member=new)
    assert run(world.companies("ani").add_member(request)).user_id == user("budi")


def test_account_is_a_member_of_one_company() -> None:
    world = World()
    one, other = world.approved("ani"), world.approved("citra", tax_id="2")
    world.account("budi")
    world.add("ani", one, "budi")
    for by, company_id in (("ani", one), ("citra", other)):
        with pytest.raises(AlreadyAMember):
            world.add(by, company_id, "budi")
    with pytest.raises(AlreadyAMember):
        world.add("citra", other, "ani")
    assert world.buys_for("budi") == one


def test_nobody_is_invited_to_a_company_that_is_not_approved() -> None:
    world = World()
    world.accounts("ani", "budi")
    company = world.founded("ani")
    for decision in (None, "rejected"):
        if decision:
            world.review(company.id, decision, "no")
        for person in ("budi", "stranger"):
            with pytest.raises(CompanyNotApproved):
                world.add("ani", company.id, person)
    assert world.seen(company.id, "ani").version == 2


def test_who_has_no_approved_company_is_not_told_who_belongs_to_another() -> None:
    world = World()
    world.approved("ani")
    world.accounts("budi", "citra")
    company = world.founded("citra", tax_id="2")
    for person in ("ani", "budi", "stranger"):
        with pytest.raises(CompanyNotApproved):
            world.add("citra", company.id, person)


def test_members_are_the_matter_of_the_companys_admins() -> None:
    world = World()
    company_id = world.approved("ani")
    world.accounts("budi", "citra", "other")
    world.add("ani", company_id, "budi", "buyer")
    world.add("ani", company_id, "citra", "approver")
    seen = world.seen(company_id, "ani")
    change = contract.ChangeMember(
        company_id=company_id, user_id=user("ani"), expected_version=1, role="buyer", keeps_limit=True
    )
    removal = contract.RemoveMember(company_id=company_id, user_id=user("ani"))
    refused: list[tuple[Companies, type[Exception]]] = [
        (world.companies("budi"), NotACompanyAdmin),
        (world.companies("citra"), NotACompanyAdmin),
        (world.staff, NotACompanyAdmin),
        (world.companies("other"), CompanyNotFound),
        (world.companies("ani", "guest"), Unauthenticated),
        (world.companies("ani", "service"), Forbidden),
    ]
    attempts: list[Callable[[Companies], Coroutine[Any, Any, object]]] = [
        lambda by: by.add_member(_invitation(company_id)),
        lambda by: by.change_member(change),
        lambda by: by.remove_member(removal),
    ]
    for companies, refusal in refused:
        for attempt in attempts:
            with pytest.raises(refusal):
                run(attempt(companies))
    assert world.seen(company_id, "ani") == seen


def test_admin_whose_account_is_no_customers_any_more_is_no_admin_of_the_company() -> None:
    world = World()
    company_id = world.approved("ani")
    world.execute("UPDATE users SET given_role = 'staff' WHERE id = ?", user("ani"))
    with pytest.raises(NotACompanyAdmin):
        run(world.companies("ani", "staff").add_member(_invitation(company_id)))


def test_change_keeps_what_it_does_not_name() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    world.add("ani", company_id, "budi", "buyer", idr(500))
    changed = world.change("ani", company_id, "budi", role="approver")
    assert (changed.role, changed.spending_limit, changed.version) == ("approver", idr(500), 2)
    changed = world.change("ani", company_id, "budi", spending_limit=usd(0))
    assert (changed.role, changed.spending_limit, changed.version) == ("approver", usd(0), 3)
    changed = world.change("ani", company_id, "budi", spending_limit=None)
    assert (changed.role, changed.spending_limit, changed.version) == ("approver", None, 4)
    assert world.member(company_id, "budi") == changed
    limits: list[JsonValue] = [{"amount": 500, "currency": "IDR"}, {"amount": 0, "currency": "USD"}, None]
    data = [told(company_id, "approver", limit) for limit in limits]
    assert world.events()[-3:] == [("company.member_changed", company_id, each) for each in data]
    assert world.audit()[-3:] == [("company.member_changed", user("ani"), user("budi"), each) for each in data]


def test_change_of_nothing_makes_no_version_and_a_stale_one_is_refused() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    world.add("ani", company_id, "budi", "buyer", idr(500))
    told, company = world.events(), world.seen(company_id, "ani")
    assert world.change("ani", company_id, "budi", role="buyer", spending_limit=idr(500)).version == 1
    with pytest.raises(StaleMember) as refusal:
        world.change("ani", company_id, "budi", role="approver", version=2)
    assert refusal.value.details == {"version": 1}
    with pytest.raises(MemberNotFound):
        world.change("ani", company_id, "nobody", role="approver", version=1)
    assert (world.events(), world.seen(company_id, "ani")) == (told, company)


def test_negative_limit_is_refused() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    for person in ("budi", "stranger"):
        with pytest.raises(NegativeAmount):
            world.add("ani", company_id, person, limit=idr(-1))
    with pytest.raises(NegativeAmount):
        world.change("ani", company_id, "ani", spending_limit=idr(-1))
    assert len(world.seen(company_id, "ani").members) == 1


def test_last_admin_neither_leaves_nor_steps_down() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    world.add("ani", company_id, "budi", "approver")
    world.add("ani", company_id, "stranger", "admin")
    for role in ("buyer", "approver"):
        with pytest.raises(LastCompanyAdmin):
            world.change("ani", company_id, "ani", role=role)
    with pytest.raises(LastCompanyAdmin):
        world.remove("ani", company_id, user("ani"))
    world.change("ani", company_id, "budi", role="admin")
    world.change("ani", company_id, "ani", role="buyer")
    world.remove("ani", company_id, user("ani"))
    assert world.buys_for("ani") is None
    with pytest.raises(LastCompanyAdmin):
        world.remove("budi", company_id, user("budi"))


def test_disabled_admin_is_not_one_who_is_left() -> None:
    world = World()
    company_id = world.approved("ani")
    world.accounts("budi", "citra")
    world.add("ani", company_id, "budi", "admin")
    world.add("ani", company_id, "citra", "buyer")
    world.disable("budi")
    with pytest.raises(LastCompanyAdmin):
        world.remove("ani", company_id, user("ani"))
    world.disable("ani")
    world.remove("citra", company_id, user("citra"))
    assert world.buys_for("citra") is None
    world.disable("ani", False)
    world.remove("ani", company_id, user("budi"))
    assert [each.user_id for each in world.seen(company_id, "ani").members] == [user("ani")]


def test_staff_give_an_admin_to_a_company_whose_own_cannot_act() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    world.add("ani", company_id, "budi", "buyer", idr(500))
    with pytest.raises(NotACompanyAdmin):
        run(world.staff.change_member(_made_admin(company_id, user("budi"))))
    world.disable("ani")
    changed = run(world.staff.change_member(_made_admin(company_id, user("budi"))))
    assert (changed.role, changed.spending_limit, changed.version) == ("admin", idr(500), 2)
    data = told(company_id, "admin", {"amount": 500, "currency": "IDR"})
    assert world.audit()[-1] == ("company.member_changed", user("somebody"), user("budi"), data)
    with pytest.raises(NotACompanyAdmin):
        run(world.staff.change_member(_made_admin(company_id, user("budi"), version=2)))
    world.remove("budi", company_id, user("ani"))
    assert world.add("budi", company_id, "citra").status == "invited"


def test_staff_do_nothing_else_in_a_company_whose_admin_cannot_act() -> None:
    world = World()
    company_id = world.approved("ani")
    world.accounts("budi", "citra")
    for person in ("budi", "citra"):
        world.add("ani", company_id, person)
    invited = world.add("ani", company_id, "stranger").user_id
    for person in ("ani", "citra"):
        world.disable(person)
    seen = world.seen(company_id, "budi")
    makes_admin = _made_admin(company_id, user("budi"))
    refused: list[tuple[contract.ChangeMember, type[Exception]]] = [
        (makes_admin.model_copy(update={"role": "approver"}), NotACompanyAdmin),
        (makes_admin.model_copy(update={"role": None}), NotACompanyAdmin),
        (makes_admin.model_copy(update={"keeps_limit": False}), NotACompanyAdmin),
        (makes_admin.model_copy(update={"expected_version": 2}), StaleMember),
        (_made_admin(company_id, user("citra")), LastCompanyAdmin),
        (_made_admin(company_id, invited), LastCompanyAdmin),
        (_made_admin(company_id, user("nobody")), MemberNotFound),
    ]
    for change, refusal in refused:
        with pytest.raises(refusal):
            run(world.staff.change_member(change))
    for person in ("budi", "citra"):
        with pytest.raises(NotACompanyAdmin):
            run(world.companies(person).change_member(makes_admin))
    assert run(world.staff.change_member(_made_admin(company_id, user("ani")))).version == 1
    assert world.seen(company_id, "budi") == seen


def test_who_leaves_or_is_sent_away_is_free_and_sees_the_company_no_more() -> None:
    world = World()
    company_id = world.approved("ani")
    world.accounts("budi", "citra")
    for person in ("budi", "citra"):
        world.add("ani", company_id, person)
    world.remove("budi", company_id, user("budi"))
    world.remove("ani", company_id, user("citra"))
    for person in ("budi", "citra"):
        assert world.buys_for(person) is None
        with pytest.raises(CompanyNotFound):
            world.seen(company_id, person)
    with pytest.raises(MemberNotFound):
        world.remove("ani", company_id, user("citra"))
    with pytest.raises(CompanyNotFound):
        world.remove("citra", company_id, user("citra"))
    data = told(company_id, "buyer", None)
    assert ("company.member_removed", user("budi"), user("budi"), data) in world.audit()
    assert [kind for kind, _, _ in world.events()].count("company.member_removed") == 2
    assert world.founded("budi", tax_id="2").status == "pending"


def test_company_has_so_many_members_and_no_more() -> None:
    world = World()
    company_id = world.approved("ani")
    company = run(world.stored.get(company_id))
    assert company is not None
    one = company.members[0]
    full = replace(company, members=(one,) * MOST_MEMBERS)
    with pytest.raises(CompanyFull):
        full.joined_by(Account("usr_1", "a@b.c", "A", can_act=True), "buyer", None, world.now)
    invited = Member("usr_1", "a@b.c", None, "buyer", "invited")
    with pytest.raises(CompanyFull):
        full.inviting(invited, world.now)


def told(company_id: str, role: str, limit: JsonValue) -> dict[str, JsonValue]:
    """What events and the audit say of Budi."""
    return {
        "company_id": company_id,
        "user_id": user("budi"),
        "role": role,
        "status": "active",
        "spending_limit": limit,
    }


def _invitation(company_id: str) -> contract.AddMember:
    return contract.AddMember(company_id=company_id, member=contract.NewMember(email=email("x"), role="buyer"))


def _made_admin(company_id: str, user_id: str, version: int = 1) -> contract.ChangeMember:
    return contract.ChangeMember(
        company_id=company_id, user_id=user_id, expected_version=version, role="admin", keeps_limit=True
    )
