"""The order's decisions, over every status and command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from order.domain import commands, events
from order.domain.commands import Command
from order.domain.events import OrderEvent, UnknownEvent, read_event, write_event
from order.domain.order import IllegalTransition, Order, decide, evolve, replay
from shared_kernel.contracts.inventory import Allocation
from shared_kernel.money import Money
from tests.unit.order.order_world import BUYER, INSTRUCTIONS, ORDER_ID, PRODUCT_ID, place, rupiah

TOTAL = place().total
NOTHING = rupiah(0)
EXPIRES_AT = "2026-11-21T08:10:00.000Z"
HALF = rupiah(TOTAL.amount // 2)
ALLOCATIONS = (Allocation(product_id=PRODUCT_ID, warehouse_id="whs_1", warehouse_code="JKT", quantity=2),)


def returning(refunded: Money, *, version: int, due: bool = False) -> commands.RecordReturn:
    return commands.RecordReturn(
        payment_id="pay_1", payment_version=version, captured=TOTAL, refunded=refunded, due=due
    )


COMMANDS: dict[str, Command] = {
    "place": place(),
    "buy": place(by=BUYER),
    "ask": commands.RequestApproval(expires_at=EXPIRES_AT),
    "yes": commands.Approve(approver_id="usr_approver"),
    "no": commands.Refuse(reason="too dear"),
    "late": commands.ExpireApproval(),
    "reserve": commands.RecordReservation(allocations=ALLOCATIONS, expires_at=None),
    "request": commands.RequestPayment(),
    "capture": commands.RecordCapture(payment_id="pay_1", amount=TOTAL),
    "decline": commands.RecordDecline(payment_id="pay_1", code="card_declined", detail="no"),
    "instruct": commands.RecordInstructions(payment_id="pay_1", instructions=INSTRUCTIONS, expires_at=EXPIRES_AT),
    "expire": commands.RecordExpiry(payment_id="pay_1"),
    "lose": commands.RecordHoldEnd(),
    "confirm": commands.Confirm(),
    "fall": commands.DecideRejection(code="payment_declined", detail="no"),
    "begin": returning(NOTHING, version=1),
    "owe": returning(NOTHING, version=1, due=True),
    "half": returning(HALF, version=2),
    "refund": returning(TOTAL, version=3),
    "bounce": returning(NOTHING, version=4, due=True),
    "release": commands.RecordRelease(),
    "reject": commands.Reject(),
}
RETURNS = {
    "begin": "RefundBegun",
    "owe": "RefundDue",
    "half": "RefundBegun",
    "refund": "RefundIssued",
    "bounce": "RefundDue",
}
REPEATED = {"InventoryReserved", "HoldEnded", "RefundIssued", "RefundFailed", "RefundBegun", "RefundDue"}
LATE_WORD = dict.fromkeys(RETURNS, "")
REFUND_FAILS = LATE_WORD | {"bounce": "RefundDue"}
PAID = "place reserve request capture"
WAITING = "place reserve request instruct"
REFUNDED = "place reserve request capture fall refund release"

# For each state, by the commands that lead to it, what each command gives there: the type of its last event, "" where
# it was done before, and nothing at all where it is illegal.
STATES: dict[str, dict[str, str]] = {
    "": {"place": "OrderPlaced", "buy": "OrderPlaced"},
    "buy": {"ask": "ApprovalRequested", "reserve": "InventoryReserved", "fall": "RejectionDecided"},
    "buy reserve": {"reserve": "", "request": "PaymentRequested", "fall": "RejectionDecided"},
    "buy ask": {
        "ask": "",
        "yes": "OrderApproved",
        "no": "RejectionDecided",
        "late": "RejectionDecided",
        "fall": "RejectionDecided",
    },
    "buy ask yes": {"ask": "", "yes": "", "late": "", "reserve": "InventoryReserved", "fall": "RejectionDecided"},
    "buy ask yes reserve": {
        "ask": "",
        "yes": "",
        "late": "",
        "reserve": "",
        "request": "PaymentRequested",
        "fall": "RejectionDecided",
    },
    "buy ask yes fall": {"yes": "", "late": "", "fall": "", "release": "", "reject": "OrderRejected"},
    "buy ask yes fall reject": {"yes": "", "late": "", "fall": "", "release": "", "reject": ""},
    "buy ask no": {"no": "", "late": "", "fall": "", "release": "", "reject": "OrderRejected"},
    "buy ask no reject": {"no": "", "late": "", "fall": "", "release": "", "reject": ""},
    "buy ask late": {"late": "", "fall": "", "release": "", "reject": "OrderRejected"},
    "buy ask fall": {"late": "", "fall": "", "release": "", "reject": "OrderRejected"},
    "place": {"reserve": "InventoryReserved", "fall": "RejectionDecided"},
    "place reserve": {"reserve": "", "request": "PaymentRequested", "fall": "RejectionDecided"},
    "place reserve request": {
        "reserve": "",
        "request": "",
        "instruct": "PaymentInstructed",
        "capture": "PaymentCaptured",
        "decline": "PaymentDeclined",
        "expire": "PaymentExpired",
        "fall": "RejectionDecided",
    },
    WAITING: {
        "reserve": "",
        "request": "",
        "instruct": "",
        "capture": "PaymentCaptured",
        "decline": "PaymentDeclined",
        "expire": "PaymentExpired",
        "fall": "RejectionDecided",
    },
    PAID: {
        "reserve": "",
        "request": "",
        "capture": "",
        "lose": "HoldEnded",
        "confirm": "OrderConfirmed",
        "fall": "RejectionDecided",
    },
    f"{PAID} lose": {
        "reserve": "InventoryReserved",
        "request": "",
        "capture": "",
        "lose": "",
        "fall": "RejectionDecided",
    },
    f"{PAID} lose reserve": {
        "reserve": "",
        "request": "",
        "capture": "",
        "lose": "HoldEnded",
        "confirm": "OrderConfirmed",
        "fall": "RejectionDecided",
    },
    f"{WAITING} expire": {"reserve": "", "request": "", "expire": "", "fall": "RejectionDecided"},
    "place reserve request decline": {"reserve": "", "request": "", "decline": "", "fall": "RejectionDecided"},
    f"{PAID} confirm": {
        "reserve": "",
        "request": "",
        "capture": "",
        "confirm": "",
        "refund": "RefundIssued",
        "half": "RefundIssued",
        "owe": "",
        "begin": "",
        "bounce": "",
    },
    f"{PAID} confirm half": {
        "reserve": "",
        "request": "",
        "capture": "",
        "confirm": "",
        "refund": "RefundIssued",
        "half": "",
        "owe": "",
        "begin": "",
        "bounce": "RefundFailed",
    },
    f"{PAID} confirm refund": {
        "reserve": "",
        "request": "",
        "capture": "",
        "confirm": "",
        **LATE_WORD,
        "bounce": "RefundFailed",
    },
    f"{PAID} confirm refund bounce": {"reserve": "", "request": "", "capture": "", "confirm": "", **LATE_WORD},
    "place fall": {"fall": "", "release": "", "reject": "OrderRejected"},
    "place reserve fall": {"fall": "", "release": "InventoryReleased"},
    "place reserve fall release": {"fall": "", "release": "", "reject": "OrderRejected"},
    "place reserve request fall": {"fall": "", "release": "InventoryReleased", **RETURNS},
    f"{WAITING} fall": {"fall": "", "release": "InventoryReleased", **RETURNS},
    f"{WAITING} fall release": {"fall": "", "release": "", "reject": "OrderRejected", **RETURNS},
    f"{WAITING} fall release reject": {"fall": "", "release": "", "reject": "", **RETURNS},
    f"{WAITING} expire fall release reject": {"fall": "", "release": "", "reject": "", **RETURNS},
    f"{PAID} fall": {"fall": "", "release": "InventoryReleased", **RETURNS},
    f"{PAID} fall release": {"fall": "", "release": "", **RETURNS},
    f"{PAID} lose fall": {"fall": "", "release": "", **RETURNS},
    f"{PAID} fall owe": {"fall": "", "release": "InventoryReleased", **RETURNS, "owe": "", "bounce": ""},
    f"{PAID} fall begin": {"fall": "", "release": "InventoryReleased", **RETURNS, "begin": ""},
    f"{PAID} fall begin release": {"fall": "", "release": "", "reject": "OrderRejected", **RETURNS, "begin": ""},
    f"{PAID} fall begin release reject": {"fall": "", "release": "", "reject": "", **RETURNS, "begin": ""},
    f"{PAID} fall refund": {"fall": "", "release": "InventoryReleased", **REFUND_FAILS},
    "place reserve request decline fall": {"fall": "", "release": "InventoryReleased", **RETURNS},
    "place reserve request decline fall release": {"fall": "", "release": "", "reject": "OrderRejected", **RETURNS},
    "place reserve request decline fall release reject": {"fall": "", "release": "", "reject": "", **RETURNS},
    REFUNDED: {"fall": "", "release": "", "reject": "OrderRejected", **REFUND_FAILS},
    f"{REFUNDED} reject": {"fall": "", "release": "", "reject": "", **REFUND_FAILS},
    f"{REFUNDED} bounce": {"fall": "", "release": "", "reject": "OrderRejected", **LATE_WORD},
    f"{REFUNDED} reject bounce": {"fall": "", "release": "", "reject": "", **LATE_WORD},
}


def history_of(names: str) -> list[OrderEvent]:
    history: list[OrderEvent] = []
    for name in names.split():
        history += decide(ORDER_ID, replay(history), COMMANDS[name])
    return history


def given_back(history: list[OrderEvent]) -> int:
    issued = sum(event.amount.amount for event in history if isinstance(event, events.RefundIssued))
    return issued - sum(event.amount.amount for event in history if isinstance(event, events.RefundFailed))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("state", STATES)
def test_each_command_gives_in_each_state_exactly_what_the_table_says(state: str, name: str) -> None:
    order = replay(history_of(state))
    expected = STATES[state].get(name)
    if expected is None:
        with pytest.raises(IllegalTransition):
            decide(ORDER_ID, order, COMMANDS[name])
    else:
        decided = decide(ORDER_ID, order, COMMANDS[name])
        assert [event.type for event in decided][-1:] == ([expected] if expected else [])


@given(st.lists(st.sampled_from(sorted(COMMANDS)), max_size=40))
def test_no_sequence_of_commands_both_confirms_and_rejects(names: list[str]) -> None:
    history: list[OrderEvent] = []
    for name in names:
        try:
            history += decide(ORDER_ID, replay(history), COMMANDS[name])
        except IllegalTransition:
            continue
    types = [event.type for event in history]
    assert not {"OrderConfirmed", "RejectionDecided"} <= set(types)
    assert {kind for kind in types if types.count(kind) > 1} <= REPEATED
    if "ApprovalRequested" in types and "InventoryReserved" in types:
        assert types.index("ApprovalRequested") < types.index("OrderApproved") < types.index("InventoryReserved")
    if "OrderRejected" in types and "PaymentCaptured" in types:
        assert {"RefundIssued", "RefundBegun", "RefundDue"} & set(types)
    if "OrderRejected" in types and "InventoryReserved" in types:
        assert {"InventoryReleased", "HoldEnded"} & set(types)
    assert all(0 <= given_back(history[:length]) <= TOTAL.amount for length in range(len(history) + 1))


@given(st.sampled_from(["place", "buy"]), st.lists(st.sampled_from(sorted(COMMANDS)), max_size=40))
def test_replaying_what_was_stored_gives_the_same_order_at_every_version(first: str, names: list[str]) -> None:
    history: list[OrderEvent] = []
    order: Order | None = None
    states = [order]
    for name in [first, *names]:
        try:
            decided = decide(ORDER_ID, order, COMMANDS[name])
        except IllegalTransition:
            continue
        for event in decided:
            order = evolve(order, event)
            history.append(event)
            states.append(order)
    stored = [read_event(event.type, event.version, write_event(event)) for event in history]
    assert stored == history
    for version, state in enumerate(states):
        assert replay(stored[:version]) == state
        assert state is None or state.version == version


def test_an_event_before_the_draft_is_refused() -> None:
    with pytest.raises(ValueError, match="OrderDrafted"):
        evolve(None, events.OrderConfirmed())


def test_an_unknown_stored_form_is_named() -> None:
    with pytest.raises(UnknownEvent, match="OrderPlaced version 99"):
        read_event("OrderPlaced", 99, "{}")


def test_an_order_that_was_stored_before_there_were_accounts_is_nobodys() -> None:
    drafted = read_event("OrderDrafted", 1, f'{{"order_id":"{ORDER_ID}","market":"retail"}}')
    assert drafted == events.OrderDrafted(ORDER_ID, "retail", customer_id=None, company_id=None)
    order = replay([drafted])
    assert order is not None
    assert (order.market, order.customer_id, order.company_id) == ("retail", None, None)


def test_an_order_remembers_whose_it_is_and_for_which_company() -> None:
    order = replay(history_of("buy ask yes reserve request capture confirm"))
    assert order is not None
    assert (order.customer_id, order.company_id) == (BUYER.id, BUYER.company_id)
    assert (order.status, order.approved_by) == ("confirmed", "usr_approver")


def test_a_second_yes_leaves_the_first_one_standing() -> None:
    history = history_of("buy ask yes")
    assert decide(ORDER_ID, replay(history), commands.Approve(approver_id="usr_other")) == []


@pytest.mark.parametrize(("answer", "code"), [("no", "approval_refused"), ("late", "approval_expired")])
def test_an_order_that_is_not_approved_says_why(answer: str, code: str) -> None:
    order = replay(history_of(f"buy ask {answer} reject"))
    assert order is not None
    assert order.rejection is not None
    assert (order.status, order.rejection.code) == ("rejected", code)


def test_a_stored_event_that_cannot_be_read_does_not_show_its_data() -> None:
    with pytest.raises(UnknownEvent, match="OrderPlaced version 1 has other fields") as failure:
        read_event("OrderPlaced", 1, '{"email": "sari@example.com", "lines": 1}')
    assert "sari@example.com" not in str(failure.value)


def test_a_capture_of_another_amount_is_refused() -> None:
    order = replay(history_of("place reserve request"))
    with pytest.raises(IllegalTransition, match="was captured for an order of"):
        decide(ORDER_ID, order, commands.RecordCapture(payment_id="pay_1", amount=rupiah(1)))


def test_a_second_payment_is_refused() -> None:
    order = replay(history_of("place reserve request capture"))
    with pytest.raises(IllegalTransition, match="another payment"):
        decide(ORDER_ID, order, commands.RecordCapture(payment_id="pay_2", amount=TOTAL))


def test_a_refund_in_two_parts_is_two_events_that_add_up() -> None:
    history = history_of(f"{PAID} fall half release reject")
    history += decide(ORDER_ID, replay(history), COMMANDS["refund"])
    parts = [event.amount for event in history if isinstance(event, events.RefundIssued)]
    assert parts == [HALF, TOTAL - HALF]
    order = replay(history)
    assert order is not None
    assert (order.status, order.payment) == ("rejected", "refunded")


def test_a_refund_that_failed_after_it_was_issued_is_owed_again_and_issued_again() -> None:
    history = history_of(f"{REFUNDED} reject bounce")
    assert [event.type for event in history][-2:] == ["RefundFailed", "RefundDue"]
    order = replay(history)
    assert order is not None
    assert (order.status, order.payment, order.refunded) == ("rejected", "refund_due", NOTHING)
    history += decide(ORDER_ID, order, returning(TOTAL, version=5))
    assert given_back(history) == TOTAL.amount


def test_an_answer_that_is_older_than_what_is_recorded_undoes_nothing() -> None:
    order = replay(history_of(f"{PAID} confirm refund"))
    assert decide(ORDER_ID, order, COMMANDS["half"]) == []


def test_a_return_that_was_stored_without_the_payments_version_is_older_than_any() -> None:
    stored = read_event("RefundIssued", 1, f'{{"payment_id":"pay_1","amount":{TOTAL.model_dump_json()}}}')
    assert stored == events.RefundIssued("pay_1", TOTAL, payment_version=0)
    order = replay([*history_of(f"{PAID} confirm"), stored])
    assert [event.type for event in decide(ORDER_ID, order, COMMANDS["owe"])] == ["RefundFailed"]


def test_a_rejected_order_that_is_paid_late_says_so_and_stays_rejected() -> None:
    history = history_of(f"{WAITING} fall release reject owe")
    assert [event.type for event in history][-3:] == ["OrderRejected", "LatePaymentCaptured", "RefundDue"]
    order = replay(history)
    assert order is not None
    assert (order.status, order.payment, order.captured) == ("rejected", "refund_due", TOTAL)


def test_a_part_of_a_refund_of_a_confirmed_order_leaves_it_confirmed() -> None:
    order = replay(history_of(f"{PAID} confirm half"))
    assert order is not None
    assert (order.status, order.payment, order.refunded) == ("confirmed", "partially_refunded", HALF)
