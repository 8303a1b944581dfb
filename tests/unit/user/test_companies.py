"""Founding companies, their review by staff, and who sees them."""

import json

import pytest

from shared_kernel.contracts import company as contract
from shared_kernel.cursor import InvalidCursor
from shared_kernel.errors import Forbidden, Unauthenticated
from shared_kernel.permissions import Kind
from tests.unit.user.company_world import World, description, idr, run, user
from user.domain.company_errors import (
    AlreadyAMember,
    AlreadyReviewed,
    CompanyNotFound,
    MemberNotFound,
    ReasonRequired,
    TaxIdTaken,
)


def test_founder_is_the_only_admin_of_a_pending_company_which_is_told_and_audited() -> None:
    world = World()
    world.account("ani")
    company = world.founded("ani")
    assert (company.status, company.reason, company.version) == ("pending", None, 1)
    (member,) = company.members
    assert (member.user_id, member.email, member.name) == (user("ani"), "ani@example.com", "Ani")
    assert (member.role, member.status, member.spending_limit, member.spent) == ("admin", "active", None, [])
    assert world.seen(company.id, "ani") == company
    data = {"company_id": company.id, "user_id": user("ani")}
    assert world.events() == [("company.founded", company.id, data)]
    assert world.audit() == [("company.founded", user("ani"), user("ani"), data)]
    assert world.published == 1


def test_founder_of_a_company_founds_no_second_one_be_it_pending_or_approved() -> None:
    world = World()
    world.account("ani")
    company = world.founded("ani")
    with pytest.raises(AlreadyAMember):
        world.founded("ani", tax_id="99")
    world.review(company.id, "approved")
    with pytest.raises(AlreadyAMember):
        world.founded("ani", tax_id="99")
    assert len(world.events()) == 2


def test_tax_number_belongs_to_one_company_whatever_its_case() -> None:
    world = World()
    world.accounts("ani", "budi")
    world.founded("ani", tax_id="np-1")
    with pytest.raises(TaxIdTaken):
        world.founded("budi", tax_id="NP-1")


def test_rejected_company_frees_its_founder_and_its_tax_number_and_tells_him_why() -> None:
    world = World()
    world.account("ani")
    first = world.founded("ani")
    rejected = world.review(first.id, "rejected", "the tax number is wrong")
    assert (rejected.status, rejected.reason, rejected.version) == ("rejected", "the tax number is wrong", 2)
    assert world.seen(first.id, "ani").reason == "the tax number is wrong"
    second = world.founded("ani")
    world.review(second.id, "approved")
    assert world.buys_for("ani") == second.id
    assert [kind for kind, _, _ in world.events()] == [
        "company.founded",
        "company.rejected",
        "company.founded",
        "company.approved",
    ]


def test_only_customers_and_buyers_found_companies() -> None:
    world = World()
    world.account("ani")
    with pytest.raises(Unauthenticated):
        run(world.companies("ani", "guest").found_company(description()))
    others: list[Kind] = ["staff", "admin", "service"]
    for kind in others:
        with pytest.raises(Forbidden):
            run(world.companies("ani", kind).found_company(description()))
    with pytest.raises(MemberNotFound):
        world.founded("nobody")
    assert world.events() == []


def test_review_is_for_staff() -> None:
    world = World()
    world.account("ani")
    company = world.founded("ani")
    request = contract.ReviewCompany(id=company.id, decision="approved")
    others: list[Kind] = ["customer", "buyer"]
    for kind in others:
        with pytest.raises(Forbidden):
            run(world.companies("ani", kind).review_company(request))
    with pytest.raises(Unauthenticated):
        run(world.companies("ani", "guest").review_company(request))
    assert world.seen(company.id, "ani").status == "pending"
    with pytest.raises(CompanyNotFound):
        world.review("cmp_00000000000000000000000000", "approved")


@pytest.mark.parametrize(("decision", "other"), [("approved", "rejected"), ("rejected", "approved")])
def test_review_is_for_good_and_the_same_decision_again_changes_nothing(decision: str, other: str) -> None:
    world = World()
    world.account("ani")
    company = world.founded("ani")
    once = world.review(company.id, decision, "a reason")
    told = (world.events(), world.audit())
    assert world.review(company.id, decision, "another reason") == once
    with pytest.raises(AlreadyReviewed) as refusal:
        world.review(company.id, other, "a reason")
    assert refusal.value.details == {"status": decision}
    assert (world.events(), world.audit()) == told
    assert told[1][1] == (f"company.{decision}", user("somebody"), company.id, {"company_id": company.id})
    assert world.seen(company.id, "ani") == once


def test_rejection_needs_a_reason() -> None:
    world = World()
    world.account("ani")
    company = world.founded("ani")
    with pytest.raises(ReasonRequired):
        world.review(company.id, "rejected")
    assert world.seen(company.id, "ani").status == "pending"


def test_two_reviews_at_the_same_moment_leave_one_decision() -> None:
    world = World()
    world.account("ani")
    company = world.founded("ani")
    rival = contract.ReviewCompany(id=company.id, decision="rejected", reason="no")
    world.database.meanwhile = lambda: world.staff.review_company(rival)
    with pytest.raises(AlreadyReviewed):
        world.review(company.id, "approved")
    assert [kind for kind, _, _ in world.events()] == ["company.founded", "company.rejected"]


def test_members_and_staff_see_a_company_and_nobody_else_does() -> None:
    world = World()
    company_id = world.approved("ani")
    world.approved("budi", tax_id="2")
    world.account("citra")
    seeing: list[tuple[str, Kind]] = [("ani", "customer"), ("ani", "buyer"), ("x", "staff"), ("x", "admin")]
    for person, kind in seeing:
        assert world.seen(company_id, person, kind).id == company_id
    for person in ("budi", "citra"):
        with pytest.raises(CompanyNotFound):
            world.seen(company_id, person)
    with pytest.raises(CompanyNotFound):
        world.seen("cmp_00000000000000000000000000", "x", "staff")
    with pytest.raises(Unauthenticated):
        world.seen(company_id, "ani", "guest")
    with pytest.raises(Forbidden):
        world.seen(company_id, "ani", "service")


def test_founder_is_a_buyer_from_the_approval_on_while_his_account_is_a_customers_and_enabled() -> None:
    world = World()
    world.account("ani")
    company = world.founded("ani")
    assert world.buys_for("ani") is None
    world.review(company.id, "approved")
    assert world.buys_for("ani") == company.id
    world.disable("ani")
    assert world.buys_for("ani") is None
    world.disable("ani", False)
    world.execute("UPDATE users SET given_role = 'staff' WHERE id = ?", user("ani"))
    assert world.buys_for("ani") is None
    assert world.buys_for("nobody") is None


def test_list_is_for_staff_and_goes_page_by_page_from_the_newest() -> None:
    world = World()
    names = [f"p{number}" for number in range(5)]
    world.accounts(*names)
    ids = [world.founded(name, tax_id=name).id for name in names]
    world.review(ids[0], "approved")

    def page(**wanted: object) -> tuple[list[str], str | None]:
        text = run(world.staff.list_companies(contract.ListCompanies.model_validate(wanted)))
        answer = json.loads(text)
        return [item["id"] for item in answer["items"]], answer["next_cursor"]

    first, cursor = page(limit=2)
    second, further = page(limit=2, cursor=cursor)
    last, end = page(limit=2, cursor=further)
    assert first + second + last == ids[::-1]
    assert end is None
    assert page(status="approved") == ([ids[0]], None)
    assert page(status="pending", limit=3, cursor=cursor)[0] == ids[2:0:-1]
    assert page(status="rejected") == ([], None)
    with pytest.raises(InvalidCursor):
        page(cursor="bm8")
    with pytest.raises(Forbidden):
        run(world.companies("p0").list_companies(contract.ListCompanies()))


def test_item_of_the_list_holds_what_the_contract_says() -> None:
    world = World()
    world.account("ani")
    company = world.founded("ani")
    (item,) = json.loads(run(world.staff.list_companies(contract.ListCompanies())))["items"]
    assert item == {
        "id": company.id,
        "name": "Toko Maju",
        "tax_id": "01.234",
        "status": "pending",
        "created_at": company.created_at,
    }


def test_nothing_that_is_told_holds_an_address_or_a_name() -> None:
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    world.add("ani", company_id, "budi")
    world.add("ani", company_id, "stranger", limit=idr(5))
    world.change("ani", company_id, "budi", role="approver")
    world.remove("ani", company_id, user("budi"))
    rows = world.query("SELECT event AS told FROM outbox UNION ALL SELECT details FROM audit")
    told = " ".join(str(row["told"]) for row in rows)
    assert len(rows) == 12
    for secret in ("@", "example", "Budi", "token", "digest", "Toko"):
        assert secret not in told
