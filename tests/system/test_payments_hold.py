"""What becomes of a payment when the hold on the stock ends, on a system of its own where that is after six seconds.

Nobody pays: the order is rejected and nothing is on hold. Somebody pays a second too late: the money goes back, or is
due where the provider has no way back. Somebody pays in time, but it is heard of too late: the pieces are held anew
if they are still there, and the money goes back if not. The order's events say which it was.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared_kernel.contracts.order import PlacedOrder
from tests.system.payment_ways import (
    QUANTITY,
    STOCKED,
    WAITING,
    WAYS,
    Placed,
    Way,
    assert_confirmed,
    assert_money_agrees,
    assert_stock,
    order_by,
    place,
    types,
    wait_for_customer,
)
from tests.system.providers import Providers
from tests.system.shop import Shop, at_once
from wrangler import running

HOLD_SECONDS = 6
_HAPPENS_WITHIN_SECONDS = 60

# A code or a prompt can be paid without us; a redirect comes back to a payment that was cancelled.
PAID_WITHOUT_US = [way for way in WAITING if way.instructs in ("qr_code", "virtual_account", "stk_push")]
QRIS, ACCOUNT = WAYS[0], WAYS[1]
CARD = next(way for way in WAYS if way.instructs is None and way.currency == QRIS.currency)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Providers]]:
    """A shop that holds stock for six seconds, and its providers."""
    folder: Path = tmp_path_factory.mktemp("hasty-payments")
    options = ["--no-sample", "--set", f"inventory.HOLD_SECONDS={HOLD_SECONDS}"]
    with running.started(folder / "state", options, folder / "system.log") as system:
        connection = system.connection
        assert connection.providers_url is not None
        with Shop(connection.url, connection.staff_token) as shop, Providers(connection.providers_url) as providers:
            yield shop, providers
            assert shop.ledger().balanced


def test_order_that_nobody_pays_is_rejected_when_its_hold_ends(hasty: tuple[Shop, Providers]) -> None:
    shop, providers = hasty
    for placed in at_once(WAITING, lambda way: place(shop, way)):
        order = shop.wait_until_ended(placed.order)
        assert order.rejection is not None, (placed.way, order)
        assert order.rejection.code == "payment_expired"
        assert order.payment.status in ("expired", "cancelled")
        assert assert_money_agrees(shop, providers, placed).captured.amount == 0
        assert_stock(shop, placed, STOCKED)


def test_payment_that_comes_too_late_goes_back_and_the_order_says_so(hasty: tuple[Shop, Providers]) -> None:
    shop, providers = hasty

    def too_late(way: Way) -> Placed:
        placed = place(shop, way)
        # The hold's end is rounded up to a whole second, so what counts as too late is for the order to say.
        shop.wait_until(placed.order, lambda order: order.rejection is not None)
        assert providers.tell(way.provider, "pay", placed.payment_id, anyway=True)[0] in (200, 503)
        return placed

    for placed in at_once(PAID_WITHOUT_US, too_late):
        order = shop.wait_until_ended(placed.order)
        assert order.status == "rejected", (placed.way, types(shop, order))
        _assert_given_back(shop, providers, placed)


def test_payment_that_is_heard_of_too_late_takes_the_pieces_that_are_still_there(
    hasty: tuple[Shop, Providers],
) -> None:
    shop, providers = hasty

    def unheard(way: Way) -> Placed:
        placed = place(shop, way)
        wait_for_customer(shop, placed)
        assert providers.tell(way.provider, "pay", placed.payment_id, webhook="never") == []
        return placed

    for placed in at_once((QRIS, ACCOUNT), unheard):
        assert_confirmed(shop, providers, placed)
        seen = types(shop, placed.order)
        assert seen.index("PaymentCaptured") < seen.index("HoldEnded") < seen.index("OrderConfirmed")


@pytest.mark.parametrize("way", [QRIS, ACCOUNT], ids=str)
def test_last_pieces_are_sold_once_and_who_gets_none_gets_his_money_back(
    hasty: tuple[Shop, Providers], way: Way
) -> None:
    shop, providers = hasty
    slow = place(shop, way, stocked=QUANTITY)
    waiting = wait_for_customer(shop, slow)
    assert providers.tell(way.provider, "pay", slow.payment_id, webhook="never") == []
    _sleep_until_end(waiting)
    quick = Placed(CARD, slow.product, shop.place_order(order_by(CARD, slow.product)))
    ended = [shop.wait_until_ended(placed.order) for placed in (slow, quick)]
    assert sorted(order.status for order in ended) == ["confirmed", "rejected"]
    assert_stock(shop, slow, 0)
    assert_money_agrees(shop, providers, quick)
    if ended[0].status == "rejected":
        assert ended[0].rejection is not None
        assert ended[0].rejection.code == "insufficient_inventory"
        _assert_given_back(shop, providers, slow, stocked=0)
    else:
        assert_money_agrees(shop, providers, slow)


def test_refund_that_is_due_after_a_late_payment_is_settled_by_hand_and_the_order_is_refunded(
    hasty: tuple[Shop, Providers],
) -> None:
    shop, providers = hasty
    placed = place(shop, ACCOUNT)
    # Before its rejection is decided, money that is late is taken for an order whose pieces are still there.
    assert shop.wait_until_ended(placed.order).status == "rejected"
    assert providers.tell(ACCOUNT.provider, "pay", placed.payment_id, anyway=True)[0] in (200, 503)
    _assert_given_back(shop, providers, placed)
    (due,) = [each for each in shop.refunds("due") if each["order_id"] == placed.order.id]
    settled = shop.settle(str(due["id"]), "bank transfer 123")
    assert (settled.status, settled.payment.status) == ("succeeded", "refunded")
    order = shop.wait_until(placed.order, lambda order: order.payment.status == "refunded")
    assert order.status == "rejected"
    assert types(shop, order)[-2:] == ["RefundDue", "RefundIssued"]
    assert shop.refunds("due") == [each for each in shop.refunds("due") if each["order_id"] != placed.order.id]
    assert_stock(shop, placed, STOCKED)


def _sleep_until_end(order: PlacedOrder) -> None:
    assert order.payment.expires_at is not None
    ends_at = datetime.fromisoformat(order.payment.expires_at)
    time.sleep(max(0.0, (ends_at - datetime.now(UTC)).total_seconds()))


def _assert_given_back(shop: Shop, providers: Providers, placed: Placed, stocked: int = STOCKED) -> None:
    """The money came and went, or is due, by the word of the provider, the payment and the order's events."""
    give_up = time.monotonic() + _HAPPENS_WITHIN_SECONDS
    end = "RefundDue" if placed.way.refunds == "nothing" else "RefundIssued"
    while end not in (seen := types(shop, placed.order)):
        assert time.monotonic() < give_up, (placed.way, seen, shop.payment(placed.payment_id))
        time.sleep(0.2)
    assert {"PaymentCaptured", "LatePaymentCaptured"} & {*seen}
    payment = assert_money_agrees(shop, providers, placed)
    assert payment.captured == placed.order.total
    left = payment.captured - payment.refunded
    due = placed.way.refunds == "nothing"
    assert (payment.status, left.amount) == (("refund_due", payment.captured.amount) if due else ("refunded", 0))
    assert shop.order(placed.order.id).payment.status == payment.status
    assert_stock(shop, placed, stocked)
