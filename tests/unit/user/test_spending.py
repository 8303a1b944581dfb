"""What buyers may spend: counted when an order is placed, until it is given back."""

import pytest

from shared_kernel.contracts import company as contract
from shared_kernel.errors import Forbidden
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.permissions import Kind
from tests.unit.user.company_world import World, idr, order_id, placed, run, usd, user
from user.domain.company_errors import (
    NegativeAmount,
    NotABuyer,
    NotAnApprover,
    OwnOrder,
    SpendingDiffers,
    SpendingNotFound,
    SpendingReleased,
)


def shop(limit: Money | None) -> tuple[World, str]:
    """A company with a buyer Budi who has this limit, an approver Citra, and its admin Ani."""
    world = World()
    company_id = world.approved("ani")
    world.accounts("budi", "citra")
    world.add("ani", company_id, "budi", "buyer", limit)
    world.add("ani", company_id, "citra", "approver")
    return world, company_id


def spent(world: World, company_id: str, person: str = "budi") -> list[Money]:
    return world.member(company_id, person).spent


def test_orders_are_within_the_limit_up_to_its_last_unit() -> None:
    world, company_id = shop(idr(1000))
    assert world.authorise("1", "budi", company_id, idr(600)) == "within_limit"
    assert world.authorise("2", "budi", company_id, idr(400)) == "within_limit"
    assert world.authorise("3", "budi", company_id, idr(1)) == "needs_approval"
    assert world.authorise("4", "budi", company_id, idr(0)) == "needs_approval"
    assert spent(world, company_id) == [idr(1001)]


def test_order_that_needs_approval_counts_too() -> None:
    world, company_id = shop(idr(1000))
    assert world.authorise("1", "budi", company_id, idr(1001)) == "needs_approval"
    assert world.authorise("2", "budi", company_id, idr(1)) == "needs_approval"
    world.release("1")
    assert world.authorise("3", "budi", company_id, idr(999)) == "within_limit"


def test_limit_of_zero_lets_nothing_by_and_no_limit_everything() -> None:
    world, company_id = shop(idr(0))
    assert world.authorise("1", "budi", company_id, idr(1)) == "needs_approval"
    for order in ("2", "3"):
        assert world.authorise(order, "ani", company_id, idr(LARGEST_AMOUNT_MINOR)) == "within_limit"
    assert spent(world, company_id, "ani") == [idr(LARGEST_AMOUNT_MINOR)]


def test_sums_beyond_what_can_be_held_exactly_are_over_every_limit() -> None:
    world, company_id = shop(idr(LARGEST_AMOUNT_MINOR))
    assert world.authorise("0", "budi", company_id, idr(LARGEST_AMOUNT_MINOR)) == "within_limit"
    # As integers, 1,025 of these would be more than SQLite can add.
    for number in range(1, 1100):
        assert world.authorise(str(number), "budi", company_id, idr(LARGEST_AMOUNT_MINOR)) == "needs_approval"
    assert spent(world, company_id) == [idr(LARGEST_AMOUNT_MINOR)]


def test_another_currency_than_the_limits_needs_approval_and_does_not_count_against_it() -> None:
    world, company_id = shop(idr(1000))
    assert world.authorise("1", "budi", company_id, usd(1)) == "needs_approval"
    assert world.authorise("2", "budi", company_id, idr(1000)) == "within_limit"
    assert spent(world, company_id) == [idr(1000), usd(1)]


def test_orders_of_others_do_not_count() -> None:
    world, company_id = shop(idr(1000))
    world.authorise("1", "ani", company_id, idr(5000))
    assert world.authorise("2", "budi", company_id, idr(1000)) == "within_limit"


def test_authorising_again_answers_what_was_recorded() -> None:
    world, company_id = shop(idr(1000))
    for _ in range(2):
        assert world.authorise("1", "budi", company_id, idr(600)) == "within_limit"
        assert world.authorise("2", "budi", company_id, idr(600)) == "needs_approval"
    assert spent(world, company_id) == [idr(1200)]
    world.remove("ani", company_id, user("budi"))
    assert world.authorise("1", "budi", company_id, idr(600)) == "within_limit"


def test_another_order_under_the_same_id_is_refused() -> None:
    world, company_id = shop(idr(1000))
    other = world.approved("dewi", tax_id="2")
    world.authorise("1", "budi", company_id, idr(600))
    for person, company, amount in (
        ("ani", company_id, idr(600)),
        ("budi", company_id, idr(601)),
        ("budi", company_id, usd(600)),
        ("dewi", other, idr(600)),
    ):
        with pytest.raises(SpendingDiffers):
            world.authorise("1", person, company, amount)
    assert spent(world, company_id) == [idr(600)]


def test_only_active_members_of_an_approved_company_spend() -> None:
    world, company_id = shop(None)
    other = world.approved("dewi", tax_id="2")
    world.account("eka")
    pending = world.founded("eka", tax_id="3").id
    invited = world.add("ani", company_id, "fajar")
    world.disable("citra")
    attempts = [("budi", other), ("eka", pending), ("citra", company_id), ("nobody", company_id)]
    for person, company in attempts:
        with pytest.raises(NotABuyer):
            world.authorise("1", person, company, idr(1))
    request = contract.SpendOnOrder(
        order_id=order_id("1"), user_id=invited.user_id, company_id=company_id, amount=idr(1)
    )
    with pytest.raises(NotABuyer):
        run(world.saga.authorise(request))
    world.execute("UPDATE users SET given_role = 'staff' WHERE id = ?", user("budi"))
    with pytest.raises(NotABuyer):
        world.authorise("1", "budi", company_id, idr(1))
    assert world.query("SELECT * FROM spending") == []


def test_order_of_a_negative_amount_is_refused() -> None:
    world, company_id = shop(idr(1000))
    with pytest.raises(NegativeAmount):
        world.authorise("1", "budi", company_id, idr(-1))
    assert world.query("SELECT * FROM spending") == []


def test_what_is_released_counts_no_more_and_is_released_once() -> None:
    world, company_id = shop(idr(1000))
    world.authorise("1", "budi", company_id, idr(1000))
    world.release("1")
    released = world.query("SELECT * FROM spending")
    world.wait(60)
    world.release("1")
    assert world.query("SELECT * FROM spending") == released
    assert spent(world, company_id) == []
    assert world.authorise("2", "budi", company_id, idr(1000)) == "within_limit"
    with pytest.raises(SpendingReleased):
        world.authorise("1", "budi", company_id, idr(1000))


def test_release_before_the_authorisation_refuses_it_when_it_comes() -> None:
    world, company_id = shop(idr(1000))
    for _ in range(2):
        world.release("1")
    with pytest.raises(SpendingReleased):
        world.authorise("1", "budi", company_id, idr(1))
    with pytest.raises(SpendingNotFound):
        world.approve("1", company_id, "citra")
    assert spent(world, company_id) == []


@pytest.mark.parametrize("approver", ["citra", "ani"])
def test_approver_or_admin_says_yes_once_and_the_order_counts_on(approver: str) -> None:
    world, company_id = shop(idr(1000))
    world.authorise("1", "budi", company_id, idr(5000))
    for _ in range(2):
        assert world.approve("1", company_id, approver) == "approved"
    assert world.authorise("1", "budi", company_id, idr(5000)) == "approved"
    assert world.query("SELECT approver_id FROM spending") == [{"approver_id": user(approver)}]
    assert spent(world, company_id) == [idr(5000)]
    assert world.authorise("2", "budi", company_id, idr(1)) == "needs_approval"


def test_second_approver_hears_that_it_was_approved_and_the_first_one_stays() -> None:
    world, company_id = shop(idr(0))
    world.authorise("1", "budi", company_id, idr(5000))
    world.approve("1", company_id, "citra")
    assert world.approve("1", company_id, "ani") == "approved"
    assert world.query("SELECT approver_id FROM spending") == [{"approver_id": user("citra")}]


def test_yes_on_record_is_answered_to_who_said_it_after_he_has_left() -> None:
    world, company_id = shop(idr(0))
    world.authorise("1", "budi", company_id, idr(5000))
    world.approve("1", company_id, "citra")
    world.remove("ani", company_id, user("citra"))
    assert world.approve("1", company_id, "citra") == "approved"


def test_order_within_the_limit_needs_no_yes() -> None:
    world, company_id = shop(idr(1000))
    world.authorise("1", "budi", company_id, idr(1000))
    assert world.approve("1", company_id, "citra") == "within_limit"
    assert world.query("SELECT decision, approver_id FROM spending") == [
        {"decision": "within_limit", "approver_id": None}
    ]


def test_nobody_approves_his_own_order() -> None:
    world, company_id = shop(None)
    world.change("ani", company_id, "citra", spending_limit=idr(0))
    world.change("ani", company_id, "ani", spending_limit=idr(0))
    for order, person in (("1", "citra"), ("2", "ani")):
        assert world.authorise(order, person, company_id, idr(1)) == "needs_approval"
        with pytest.raises(OwnOrder):
            world.approve(order, company_id, person)
    assert world.approve("1", company_id, "ani") == "approved"
    assert world.approve("2", company_id, "citra") == "approved"


def test_only_active_approvers_and_admins_of_the_company_approve() -> None:
    world, company_id = shop(idr(0))
    other = world.approved("dewi", tax_id="2")
    world.accounts("eka", "fajar")
    world.add("ani", company_id, "eka", "buyer")
    world.authorise("1", "budi", company_id, idr(1))
    world.disable("citra")
    for person in ("eka", "citra", "dewi", "fajar", "budi"):
        with pytest.raises(NotAnApprover):
            world.approve("1", company_id, person)
    with pytest.raises(SpendingNotFound):
        world.approve("1", other, "dewi")
    with pytest.raises(SpendingNotFound):
        world.approve("2", company_id, "ani")
    assert world.query("SELECT decision FROM spending") == [{"decision": "needs_approval"}]


def test_released_order_is_not_approved_any_more() -> None:
    world, company_id = shop(idr(0))
    world.authorise("1", "budi", company_id, idr(1))
    world.release("1")
    with pytest.raises(SpendingReleased):
        world.approve("1", company_id, "citra")


def test_who_may_approve_is_told_so_and_nothing_is_said_for_him() -> None:
    world, company_id = shop(idr(0))
    world.account("eka")
    world.add("ani", company_id, "eka", "buyer")
    world.authorise("1", "budi", company_id, idr(1))
    before = world.query("SELECT * FROM spending")
    for person in ("citra", "ani"):
        world.may_approve("1", company_id, person)
    for order, person, refusal in (
        ("1", "eka", NotAnApprover),
        ("2", "ani", SpendingNotFound),
    ):
        with pytest.raises(refusal):
            world.may_approve(order, company_id, person)
    world.change("ani", company_id, "budi", role="approver")
    with pytest.raises(OwnOrder):
        world.may_approve("1", company_id, "budi")
    assert world.query("SELECT * FROM spending") == before
    world.release("1")
    with pytest.raises(SpendingReleased):
        world.may_approve("1", company_id, "ani")


def test_decision_says_whose_yes_it_was() -> None:
    world, company_id = shop(idr(0))
    order = placed("1", "budi", company_id, idr(1))
    assert run(world.saga.authorise(order)).approver_id is None
    world.approve("1", company_id, "citra")
    assert run(world.saga.authorise(order)).approver_id == user("citra")
    again = contract.ApproveSpending(order_id=order_id("1"), company_id=company_id, approver_id=user("ani"))
    assert run(world.saga.approve(again)) == contract.SpendingDecision(decision="approved", approver_id=user("citra"))


def test_new_limit_does_not_touch_what_was_decided() -> None:
    world, company_id = shop(idr(1000))
    world.authorise("1", "budi", company_id, idr(1000))
    world.authorise("2", "budi", company_id, idr(500))
    world.change("ani", company_id, "budi", spending_limit=idr(2000))
    assert world.authorise("2", "budi", company_id, idr(500)) == "needs_approval"
    assert world.authorise("3", "budi", company_id, idr(500)) == "within_limit"
    world.change("ani", company_id, "budi", spending_limit=idr(1))
    assert world.authorise("1", "budi", company_id, idr(1000)) == "within_limit"
    assert world.authorise("4", "budi", company_id, idr(1)) == "needs_approval"


def test_member_who_leaves_keeps_what_he_has_ordered_and_finds_it_when_he_comes_back() -> None:
    world, company_id = shop(idr(1000))
    world.authorise("1", "budi", company_id, idr(800))
    world.remove("budi", company_id, user("budi"))
    assert world.add("ani", company_id, "budi", "buyer", idr(1000)).spent == [idr(800)]
    assert world.authorise("2", "budi", company_id, idr(300)) == "needs_approval"
    world.release("1")
    assert spent(world, company_id) == [idr(300)]


def test_spending_is_the_matter_of_services() -> None:
    world, company_id = shop(None)
    kinds: list[Kind] = ["guest", "customer", "buyer", "staff", "admin"]
    approval = contract.ApproveSpending(order_id=order_id("1"), company_id=company_id, approver_id=user("ani"))
    for kind in kinds:
        spending = world.spending(kind)
        with pytest.raises(Forbidden):
            run(spending.authorise(placed("1", "budi", company_id, idr(1))))
        with pytest.raises(Forbidden):
            run(spending.approve(approval))
        with pytest.raises(Forbidden):
            run(spending.may_approve(approval))
        with pytest.raises(Forbidden):
            run(spending.release(contract.OrderSpending(order_id=order_id("1"))))
    assert world.query("SELECT * FROM spending") == []
