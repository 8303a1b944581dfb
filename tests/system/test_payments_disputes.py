"""How money goes after it was taken, on the running system: disputed, charged back, failed on its way, paid by hand."""

import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from pydantic import JsonValue

from shared_kernel.contracts.payment import Payment
from shared_kernel.money import Money
from tests.system.payment_ways import QUANTITY, STOCKED, WAYS, Placed, Way, assert_stock, paid, types
from tests.system.providers import Providers, Row
from tests.system.shop import Shop, problem

_SEEN_WITHIN_SECONDS = 30

ACCOUNT = WAYS[1]
CARD = next(way for way in WAYS if way.provider == "stripe" and way.instructs is None)
PAYPAL = next(way for way in WAYS if way.provider == "paypal")
WALLET = next(way for way in WAYS if way.provider == "midtrans" and way.method == "ewallet")
TELLS_OF_FAILED_REFUNDS = [
    CARD,
    PAYPAL,
    next(way for way in WAYS if (way.provider, way.method) == ("xendit", "ewallet")),
]
disputable = pytest.mark.parametrize("way", [CARD, PAYPAL], ids=str)


@pytest.fixture(autouse=True)
def balanced(shop: Shop) -> Iterator[None]:
    """The ledger balances after every test."""
    yield
    assert shop.ledger().balanced


@disputable
def test_dispute_that_is_won_leaves_money_and_order_as_they_were(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    accounts = (f"provider:{way.provider}", "chargebacks", "refunds_due")
    before = [_balance(shop, account, way) for account in accounts]
    _dispute(providers, placed, "open")
    assert shop.payment(placed.payment_id).status == "disputed"
    problem(shop.send_refund(placed.payment_id, placed.order.total, _key()), 409, "not_refundable")
    _dispute(providers, placed, "won")
    assert shop.payment(placed.payment_id).status == "captured"
    assert [_balance(shop, account, way) for account in accounts] == before
    assert shop.refund(placed.payment_id, placed.order.total, _key()).status in ("pending", "succeeded")


@pytest.mark.parametrize("way", [CARD, PAYPAL, WALLET], ids=str)
def test_dispute_that_is_lost_is_a_chargeback_and_the_order_says_so(shop: Shop, providers: Providers, way: Way) -> None:
    placed = paid(shop, providers, way)
    total = placed.order.total
    lost, held = _balance(shop, "chargebacks", way), _balance(shop, f"provider:{way.provider}", way)
    _dispute(providers, placed, "open", webhook="twice")
    _dispute(providers, placed, "lost", webhook="twice")
    payment = shop.payment(placed.payment_id)
    assert (payment.status, payment.refunded) == ("refunded", total)
    assert _balance(shop, "chargebacks", way) == lost + total.amount
    assert _balance(shop, f"provider:{way.provider}", way) == held - total.amount
    (item,) = [each for each in shop.refunds("succeeded") if each["payment_id"] == placed.payment_id]
    assert (item["kind"], item["amount"]) == ("chargeback", total.model_dump())
    (row,) = providers.rows(way.provider, placed.payment_id)
    assert (row.charged_minor, row.refunded_minor, row.charged_back_minor) == (total.amount, 0, total.amount)
    _wait_for_event(shop, placed, "RefundIssued")
    assert shop.order(placed.order.id).status == "confirmed"
    assert_stock(shop, placed, STOCKED - QUANTITY)


@disputable
def test_dispute_that_is_lost_in_part_leaves_the_rest_to_be_refunded(
    shop: Shop, providers: Providers, way: Way
) -> None:
    placed = paid(shop, providers, way)
    part = placed.order.total.amount // 4
    _dispute(providers, placed, "lost", amount_minor=part)
    payment = shop.payment(placed.payment_id)
    assert (payment.status, payment.refunded.amount) == ("partially_refunded", part)
    problem(shop.send_refund(placed.payment_id, placed.order.total, _key()), 409, "refund_exceeds_captured")
    rest = shop.refund(placed.payment_id, placed.order.total - payment.refunded, _key())
    if way.provider == "stripe":
        # Of a charge that was charged back Stripe gives nothing back.
        assert rest.status == "due"
        assert shop.settle(rest.id, "bank transfer 5").status == "succeeded"
    _wait(shop, placed, lambda now: now.status == "refunded")


@pytest.mark.parametrize("way", TELLS_OF_FAILED_REFUNDS, ids=str)
def test_refund_that_fails_after_it_was_made_is_due_and_the_order_says_so(
    shop: Shop, providers: Providers, way: Way
) -> None:
    placed = paid(shop, providers, way)
    due = _balance(shop, "refunds_due", way)
    made = shop.refund(placed.payment_id, placed.order.total, _key())
    _wait(shop, placed, lambda payment: payment.status == "refunded")
    _wait_for_event(shop, placed, "RefundIssued")
    assert providers.tell(way.provider, "fail_refund", placed.payment_id, webhook="twice") == [200, 200]
    payment = shop.payment(placed.payment_id)
    assert (payment.status, payment.refunded.amount) == ("refund_due", 0)
    assert _row(providers, placed).refunded_minor == 0
    assert _balance(shop, "refunds_due", way) == due - placed.order.total.amount
    _wait_for_event(shop, placed, "RefundFailed")
    assert shop.order(placed.order.id).payment.status == "captured"
    settled = shop.settle(made.id, "bank transfer 7")
    assert (settled.status, settled.payment.status) == ("succeeded", "refunded")
    assert _balance(shop, "refunds_due", way) == due


def test_due_refund_is_listed_settled_once_and_told_to_the_order(shop: Shop, providers: Providers) -> None:
    placed = paid(shop, providers, ACCOUNT)
    accounts = ("refunds_due", "paid_by_hand", f"provider:{ACCOUNT.provider}")
    before = [_balance(shop, account, ACCOUNT) for account in accounts]
    part = Money(amount=placed.order.total.amount // 4, currency=ACCOUNT.currency)
    made = [shop.refund(placed.payment_id, part, _key()) for _ in range(2)]
    assert [refund.status for refund in made] == ["due", "due"]
    listed = [each["id"] for each in shop.refunds("due") if each["payment_id"] == placed.payment_id]
    assert listed == [refund.id for refund in made]
    key = _key()
    first, again = (
        shop.settle(made[0].id, "bank transfer 1", key),
        shop.send_settlement(made[0].id, "bank transfer 1", key),
    )
    assert (first.status, first.paid_by_hand, first.payment.status) == ("succeeded", "bank transfer 1", "refund_due")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    problem(shop.send_settlement(made[0].id, "bank transfer 1", _key()), 409, "refund_already_settled")
    problem(shop.send_settlement(made[0].id, "bank transfer 2", key), 422, "idempotency_key_reused")
    problem(shop.send_settlement(f"rfd_{'0' * 26}", "bank transfer 2", key), 404, "refund_not_found")
    _wait_for_event(shop, placed, "RefundIssued")
    assert shop.settle(made[1].id, "bank transfer 2").payment.status == "partially_refunded"
    after = [_balance(shop, account, ACCOUNT) for account in accounts]
    assert [now - then for now, then in zip(after, before, strict=True)] == [0, -2 * part.amount, 0]
    assert shop.order(placed.order.id).status == "confirmed"


def test_refund_that_the_provider_made_is_not_settled_by_hand(shop: Shop, providers: Providers) -> None:
    placed = paid(shop, providers, CARD)
    made = shop.refund(placed.payment_id, placed.order.total, _key())
    _wait(shop, placed, lambda payment: payment.status == "refunded")
    problem(shop.send_settlement(made.id, "bank transfer 3", _key()), 409, "refund_not_due")
    assert shop.ask("GET", "/api/refunds").status_code == 401


def _key() -> str:
    return str(uuid.uuid4())


def _dispute(providers: Providers, placed: Placed, status: str, **options: JsonValue) -> None:
    answered = providers.tell(placed.way.provider, "dispute", placed.payment_id, status=status, **options)
    assert set(answered) == {200}


def _row(providers: Providers, placed: Placed) -> Row:
    (row,) = providers.rows(placed.way.provider, placed.payment_id)
    return row


def _balance(shop: Shop, account: str, way: Way) -> int:
    return shop.ledger().balance(account, way.currency)


def _wait(shop: Shop, placed: Placed, is_so: Callable[[Payment], bool]) -> None:
    give_up = time.monotonic() + _SEEN_WITHIN_SECONDS
    while not is_so(payment := shop.payment(placed.payment_id)):
        assert time.monotonic() < give_up, payment
        time.sleep(0.1)


def _wait_for_event(shop: Shop, placed: Placed, kind: str) -> None:
    give_up = time.monotonic() + _SEEN_WITHIN_SECONDS
    while kind not in (seen := types(shop, placed.order)):
        assert time.monotonic() < give_up, seen
        time.sleep(0.1)
