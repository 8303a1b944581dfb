"""A company's order over its buyer's limit: waiting for a yes or a no, being late, and losing neither in a crash."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_saga import saga
from shared_kernel.errors import Conflict, DomainError, Forbidden, NotFound, Unauthenticated, Unavailable
from shared_kernel.rpc import Principal
from tests.unit.order.company_world import APPROVER, COLLEAGUE, SECOND_APPROVER, STRANGER, Buying
from tests.unit.order.order_world import APPROVAL_SECONDS, BUYER, GUEST, Breaking, Crash, OrderWorld, place

TOTAL_MINOR = place().total.amount
LONGEST_LIFE = 60
CUSTOMER = Principal(kind="customer", id="usr_customer")
STAFF = Principal(kind="staff", id="usr_staff")


def waiting() -> Buying:
    """An order that awaits approval, its saga dead in the wait."""
    buying = Buying()
    buying.steps.dies_at(f"{saga.AWAIT_APPROVAL} 1")
    with pytest.raises(Crash):
        buying.run()
    buying.steps.dies_at("")
    return buying


def test_an_order_within_the_limit_goes_on_by_itself_and_counts() -> None:
    buying = Buying(limit_minor=TOTAL_MINOR)
    assert buying.run() == "confirmed"
    assert buying.steps.waits == 0
    assert "ApprovalRequested" not in buying.world.event_types()
    buying.assert_books_agree()


def test_an_order_over_the_limit_waits_before_anything_is_held_and_goes_on_after_a_yes() -> None:
    buying = Buying()
    seen = []

    def approved() -> None:
        seen.append((buying.order(), buying.shop.holds))
        buying.approve()

    buying.on_wait(approved)
    assert buying.run() == "confirmed"
    [(order, holds)] = seen
    assert (order.status, holds, order.approval is not None) == ("awaiting_approval", 0, True)
    assert buying.world.event_types()[3:6] == ["ApprovalRequested", "OrderApproved", "InventoryReserved"]
    buying.assert_books_agree()


def test_a_no_turns_the_order_back_with_its_reason_and_counts_nothing() -> None:
    buying = Buying()
    buying.on_wait(lambda: buying.refuse(reason="we have enough rice"))
    assert buying.run() == "rejected"
    rejection = buying.order().rejection
    assert rejection is not None
    assert (rejection.code, rejection.detail) == ("approval_refused", "we have enough rice")
    assert (buying.shop.holds, buying.shop.charges) == (0, 0)
    buying.assert_books_agree()


def test_an_order_that_nobody_answers_is_turned_back_when_the_time_is_over() -> None:
    buying = Buying()
    began = buying.world.clock()
    assert buying.run() == "rejected"
    assert (buying.world.clock() - began).total_seconds() == APPROVAL_SECONDS
    assert buying.rejected_for() == "approval_expired"
    assert buying.shop.holds == 0
    buying.assert_books_agree()


def test_a_nudge_for_nothing_is_waited_through() -> None:
    buying = Buying()
    buying.on_wait(lambda: None, lambda: None, buying.approve)
    assert buying.run() == "confirmed"
    assert buying.steps.waits == 3


def test_a_saga_that_is_nudged_for_nothing_without_end_ends_at_last() -> None:
    buying = Buying()
    buying.steps.on_wait = lambda _look: True
    assert buying.run() == "rejected"
    assert (buying.steps.waits, buying.rejected_for()) == (saga.LOOKS, "approval_expired")
    buying.assert_books_agree()


def test_a_buyer_who_is_none_any_more_has_his_order_turned_back() -> None:
    buying = Buying(limit_minor=TOTAL_MINOR)
    buying.budget.is_buyer = False
    assert buying.run() == "rejected"
    assert buying.rejected_for() == "not_a_buyer"
    buying.assert_books_agree()


@pytest.mark.parametrize("token", ["tok_ok", "tok_declined"])
def test_an_order_that_comes_to_nothing_later_counts_no_more(token: str) -> None:
    buying = Buying(limit_minor=TOTAL_MINOR, token=token)
    buying.shop.on_hand = 10 if token == "tok_declined" else 1
    assert buying.run() == "rejected"
    assert (buying.budget.counted_minor, buying.budget.is_released) == (0, True)


def test_an_order_that_is_turned_back_before_it_was_counted_can_not_be_counted_late() -> None:
    buying = Buying(limit_minor=TOTAL_MINOR)
    buying.shop.sold = False
    assert buying.run() == "rejected"
    assert (buying.rejected_for(), buying.budget.spent_minor) == ("not_sold_in_market", None)
    buying.assert_books_agree()


def test_a_user_service_that_never_answers_turns_the_order_back_as_unavailable() -> None:
    buying = Buying()
    buying.faults.breaks = lambda call: "before" if 2 <= call <= 2 + saga.FORWARD.limit else None
    assert buying.run() == "rejected"
    assert buying.rejected_for() == "spending_unavailable"
    buying.assert_books_agree()


def test_a_user_service_that_is_away_for_a_while_does_not_cost_the_buyer_his_order() -> None:
    buying = Buying()
    before = buying.faults.calls

    def goes_away() -> None:
        buying.faults.breaks = lambda call: "before"

    def is_back() -> None:
        buying.faults.breaks = lambda call: None
        buying.approve()

    buying.on_wait(goes_away, lambda: None, is_back)
    assert buying.run() == "confirmed"
    assert buying.faults.calls > before
    buying.assert_books_agree()


@pytest.mark.parametrize("how", ["crash", "after"])
def test_a_yes_whose_record_was_lost_lets_the_order_go_on_all_the_same(how: str) -> None:
    buying = Buying()

    def approves_and_dies() -> None:
        lost = buying.faults.calls + 1
        buying.faults.breaks = lambda call: how if call == lost else None
        with pytest.raises((Crash, Unavailable)):
            buying.approve()

    buying.on_wait(approves_and_dies)
    assert buying.run() == "confirmed"
    approval = buying.order().approval
    assert approval is not None
    assert approval.approved_by == APPROVER.id
    buying.assert_books_agree()


def test_a_yes_that_is_seen_at_the_last_moment_still_counts() -> None:
    buying = waiting()
    buying.budget.approver_id = APPROVER.id
    assert buying.run() == "confirmed"
    buying.assert_books_agree()


def test_the_same_yes_again_answers_the_order_also_when_it_has_ended() -> None:
    buying = waiting()
    first = buying.approve()
    assert buying.approve().model_dump() == first.model_dump()
    assert buying.run() == "confirmed"
    version = buying.order().version
    assert (buying.approve().status, buying.order().version) == ("confirmed", version)


def test_the_yes_of_a_second_approver_changes_nothing() -> None:
    buying = waiting()
    first = buying.approve()
    assert buying.approve(SECOND_APPROVER) == first
    assert buying.world.event_types().count("OrderApproved") == 1


def test_the_same_no_again_answers_the_order() -> None:
    buying = waiting()
    first = buying.refuse()
    assert buying.refuse(reason="and for another reason") == first
    assert buying.run() == "rejected"
    assert (buying.refuse().status, buying.order().rejection) == ("rejected", first.rejection)
    with pytest.raises(Forbidden):
        buying.refuse(COLLEAGUE)


def test_a_no_to_an_order_that_came_to_nothing_otherwise_is_refused() -> None:
    buying = Buying(token="tok_declined")
    buying.on_wait(buying.approve)
    assert buying.run() == "rejected"
    with pytest.raises(Conflict) as refusal:
        buying.refuse()
    assert refusal.value.code == "illegal_transition"


def test_the_yes_of_a_second_approver_to_an_order_that_came_to_nothing_is_refused() -> None:
    buying = Buying(token="tok_declined")
    buying.on_wait(buying.approve)
    assert buying.run() == "rejected"
    with pytest.raises(Conflict) as refusal:
        buying.approve(SECOND_APPROVER)
    assert refusal.value.code == "illegal_transition"
    assert buying.approve().status == "rejected"


def test_a_yes_that_comes_while_the_order_is_turned_back_is_refused() -> None:
    buying = waiting()
    buying.budget.before_approve = lambda: (buying.refuse(SECOND_APPROVER), buying.run())
    with pytest.raises(Conflict) as refusal:
        buying.approve()
    assert refusal.value.code == "illegal_transition"
    assert buying.budget.approver_id is None
    buying.assert_books_agree()


def test_a_yes_after_a_no_and_a_no_after_a_yes_are_refused_and_change_nothing() -> None:
    refused, approved = waiting(), waiting()
    refused.refuse()
    approved.approve()
    with pytest.raises(Conflict) as after_no:
        refused.approve(SECOND_APPROVER)
    with pytest.raises(Conflict) as after_yes:
        approved.refuse()
    assert (after_no.value.code, after_yes.value.code) == ("illegal_transition", "illegal_transition")
    assert refused.budget.approver_id is None
    assert (refused.run(), approved.run()) == ("rejected", "confirmed")
    for each in (refused, approved):
        each.assert_books_agree()


def test_a_no_that_overtakes_a_yes_wins_and_counts_nothing() -> None:
    buying = waiting()
    buying.budget.approver_id = APPROVER.id
    buying.refuse(SECOND_APPROVER)
    with pytest.raises(Conflict):
        buying.approve()
    assert buying.run() == "rejected"
    buying.assert_books_agree()


@pytest.mark.parametrize(
    ("who", "kind", "code"),
    [
        (GUEST, Unauthenticated, "unauthenticated"),
        (STAFF, Forbidden, "forbidden"),
        (CUSTOMER, NotFound, "order_not_found"),
        (STRANGER, NotFound, "order_not_found"),
        (COLLEAGUE, Forbidden, "not_an_approver"),
        (BUYER, Forbidden, "own_order"),
        (Principal(kind="customer", id=BUYER.id), Forbidden, "not_an_approver"),
        (Principal(kind="buyer", id=BUYER.id, company_id=STRANGER.company_id), Forbidden, "not_an_approver"),
    ],
    ids=["guest", "staff", "customer", "stranger", "colleague", "buyer", "buyer who left", "buyer elsewhere now"],
)
def test_only_an_approver_of_the_company_answers(who: Principal, kind: type[DomainError], code: str) -> None:
    buying = waiting()
    before = buying.world.event_types()
    for answer in (buying.approve, buying.refuse):
        with pytest.raises(kind) as refusal:
            answer(who)
        assert refusal.value.code == code
    assert (buying.world.event_types(), buying.budget.approver_id) == (before, None)


def test_an_order_that_waits_for_nobody_is_not_answered() -> None:
    within = Buying(limit_minor=TOTAL_MINOR)
    within.run()
    theirs = Buying()
    theirs.world = OrderWorld()
    theirs.world.place_by(CUSTOMER)
    for buying, who in ((within, APPROVER), (theirs, CUSTOMER)):
        for answer in (buying.approve, buying.refuse):
            with pytest.raises(Conflict) as refusal:
                answer(who)
            assert refusal.value.code == "illegal_transition"
    assert within.budget.approver_id is None


def test_an_answer_wakes_the_alarm_at_once_and_is_the_answerers() -> None:
    buying = waiting()
    buying.world.clock.move(3600)
    buying.approve()
    assert buying.world.storage.alarm_ms == int(buying.world.clock().timestamp() * 1000)
    assert buying.world.history().recorded()[-1].actor == APPROVER.id


STEPS = [
    saga.VALIDATE,
    saga.AUTHORISE_SPENDING,
    f"{saga.AWAIT_APPROVAL} 1",
    f"{saga.CHECK_APPROVAL} 1",
    f"{saga.AWAIT_APPROVAL} 2",
    f"{saga.CHECK_APPROVAL} 2",
    saga.RESERVE_STOCK,
    saga.REQUEST_PAYMENT,
    saga.CONFIRM_STOCK,
    saga.CONFIRM_ORDER,
    saga.DECIDE_REJECTION,
    saga.CANCEL_PAYMENT,
    saga.RELEASE_STOCK,
    saga.RELEASE_SPENDING,
    saga.REJECT_ORDER,
]


@pytest.mark.parametrize("answer", ["yes", "no", "none", "yes while it was down"])
@pytest.mark.parametrize("remembers", [True, False], ids=["resumed", "started anew"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", STEPS)
def test_a_crash_around_any_step_of_a_companys_order_loses_nothing(
    name: str, after: bool, remembers: bool, answer: str
) -> None:
    buying = Buying(token="tok_declined" if "cancel" in name or "release" in name else "tok_ok")
    answers: dict[str, Callable[[], object]] = {"yes": buying.approve, "no": buying.refuse}
    buying.on_wait(lambda: None, answers.get(answer, lambda: None))
    buying.steps.dies_at(name, after)
    try:
        buying.run()
    except Crash:
        if answer == "yes while it was down" and buying.order().status == "awaiting_approval":
            if buying.order().rejection is None:
                buying.approve()
            buying.world.clock.move(2 * APPROVAL_SECONDS)
        buying.steps.dies_at("")
        if not remembers:
            buying.steps.finished.clear()
        buying.run()
    buying.assert_books_agree()


LIVES = st.lists(
    st.tuples(
        st.sampled_from(["", *STEPS]),
        st.booleans(),
        st.booleans(),
        st.sampled_from([0, 3600, APPROVAL_SECONDS]),
        st.sampled_from(["", "yes", "second yes", "no"]),
    ),
    max_size=6,
)


@given(
    breaks=st.lists(st.sampled_from([None, None, None, "before", "after", "crash"]), max_size=80),
    lives=LIVES,
    in_waits=st.lists(st.sampled_from(["", "yes", "second yes", "no", "sleeps"]), max_size=6),
    limit_minor=st.sampled_from([0, 0, TOTAL_MINOR]),
    token=st.sampled_from(["tok_ok", "tok_declined"]),
)
def test_any_mix_of_faults_crashes_and_answers_ends_with_all_books_in_agreement(
    breaks: list[str | None],
    lives: list[tuple[str, bool, bool, int, str]],
    in_waits: list[str],
    limit_minor: int,
    token: str,
) -> None:
    faults = Breaking()
    faults.breaks = lambda call: breaks[call - 1] if call <= len(breaks) else None
    buying = Buying(limit_minor, token, faults)
    answers: dict[str, Callable[[], object]] = {
        "yes": buying.approve,
        "second yes": lambda: buying.approve(SECOND_APPROVER),
        "no": buying.refuse,
    }

    def people_do(what: str) -> None:
        if what in answers:
            try:
                answers[what]()
            except (DomainError, Crash):
                return

    def in_wait(look: int) -> bool:
        what = in_waits[look - 1] if look <= len(in_waits) else "sleeps"
        people_do(what)
        return what != "sleeps"

    buying.steps.on_wait = in_wait
    plan = list(lives)
    for _life in range(LONGEST_LIFE):
        name, after, remembers, down_seconds, meanwhile = plan.pop() if plan else ("", False, False, 0, "")
        buying.steps.dies_at(name, after)
        try:
            buying.run()
            break
        except (Crash, saga.StepFailed):
            people_do(meanwhile)
            buying.world.clock.move(down_seconds)
            if not remembers:
                buying.steps.finished.clear()
    else:
        pytest.fail("the saga did not end")
    buying.assert_books_agree()
    types = buying.world.event_types()
    if "ApprovalRequested" in types and "InventoryReserved" in types:
        assert types.index("OrderApproved") < types.index("InventoryReserved")
