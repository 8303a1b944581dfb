"""The adapter of spending: however many orders come at once, no more is within a limit than the limit allows."""

from shared_kernel.contracts.company import ApproveSpending, SpendOnOrder
from shared_kernel.ids import derived_id
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.sql import ConstraintViolated, Database, Statement
from tests.workerd.cases.at_once import at_once
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.ports.company import added, company_id, company_of, told, usr
from tests.workerd.cases.scratch import NOW
from user.domain.spending import Spending
from user.infrastructure.d1_companies import D1Companies
from user.infrastructure.d1_spending import D1Spendings


def idr(amount_minor: int) -> Money:
    return Money(amount=amount_minor, currency="IDR")


def order(number: int, amount: Money, person: str = "budi") -> SpendOnOrder:
    return SpendOnOrder(order_id=ord_id(number), user_id=usr(person), company_id=company_id("ani"), amount=amount)


def ord_id(number: int) -> str:
    return derived_id("ord", str(number))


def yes(number: int, person: str) -> ApproveSpending:
    return ApproveSpending(order_id=ord_id(number), company_id=company_id("ani"), approver_id=usr(person))


async def shop(database: Database, limit: Money | None) -> D1Spendings:
    """A company of Ani's, with a buyer Budi who has this limit."""
    await added(database, await company_of(database, "ani"), "budi", limit)
    return D1Spendings(database)


async def decision(spendings: D1Spendings, asked: SpendOnOrder) -> str | None:
    recorded = await spendings.authorise(asked, NOW)
    return None if recorded is None else recorded.decision


async def decisions(database: Database) -> list[object]:
    rows = await database.rows("SELECT decision FROM spending WHERE released_at IS NULL ORDER BY decision")
    return [row["decision"] for row in rows]


async def test_orders_that_come_at_once_are_within_the_limit_to_its_last_unit(user_db: Database) -> None:
    spendings = await shop(user_db, idr(1000))
    answers = await at_once([spendings.authorise(order(number, idr(150)), NOW) for number in range(20)])
    given = [answer.decision for answer in answers if isinstance(answer, Spending)]
    assert sorted(map(str, given)) == ["needs_approval"] * 14 + ["within_limit"] * 6
    assert sorted(map(str, await decisions(user_db))) == sorted(map(str, given))


async def test_one_order_that_comes_many_times_at_once_counts_once(user_db: Database) -> None:
    spendings = await shop(user_db, idr(1000))
    answers = await at_once([spendings.authorise(order(1, idr(600)), NOW) for _ in range(8)])
    expected = Spending(order=order(1, idr(600)), decision="within_limit", approver_id=None, is_released=False)
    assert answers == [expected] * 8
    assert await decisions(user_db) == ["within_limit"]


async def test_release_and_authorisation_at_once_leave_nothing_counted(user_db: Database) -> None:
    spendings = await shop(user_db, idr(1000))
    for number in range(10):
        calls = [spendings.authorise(order(number, idr(1000)), NOW), spendings.release(ord_id(number), NOW)]
        await at_once(calls if number % 2 else calls[::-1])
        assert await decisions(user_db) == []
        late = await spendings.authorise(order(number, idr(1000)), NOW)
        assert late is not None
        assert late.is_released
    assert await decision(spendings, order(99, idr(1000))) == "within_limit"


async def test_orders_and_releases_and_a_new_limit_at_once_never_overdraw_the_larger_limit(user_db: Database) -> None:
    spendings = await shop(user_db, idr(500))
    stored = D1Companies(user_db)
    company = await stored.get(company_id("ani"))
    assert company is not None
    raised = company.with_changed(company.member(usr("budi")).changed(1, "buyer", idr(900)), NOW)
    await at_once(
        [
            *(spendings.authorise(order(number, idr(200)), NOW) for number in range(4)),
            stored.save(company, raised, told("raised")),
            *(spendings.release(ord_id(number), NOW) for number in range(2)),
            *(spendings.authorise(order(number, idr(200)), NOW) for number in range(4, 12)),
        ]
    )
    within = (await decisions(user_db)).count("within_limit")
    assert 1 <= within <= 4
    assert await decision(spendings, order(99, idr(1))) == "needs_approval"


async def test_the_first_of_many_approvers_at_once_is_recorded(user_db: Database) -> None:
    spendings = await shop(user_db, idr(0))
    await spendings.authorise(order(1, idr(5)), NOW)
    people = ["ani", "budi", "nobody"]
    answers = await at_once([spendings.approve(yes(1, person), NOW) for person in (*people, *people)])
    assert not any(isinstance(answer, Exception) for answer in answers)
    (row,) = await user_db.rows("SELECT decision, approver_id FROM spending")
    assert row == {"decision": "approved", "approver_id": usr("ani")}
    nobody = await spendings.approve(yes(1, "nobody"), NOW)
    assert (nobody.role, nobody.spending and nobody.spending.approver_id) == (None, usr("ani"))
    assert (await spendings.approve(yes(2, "ani"), NOW)).spending is None
    assert await spendings.approval(yes(1, "nobody")) == nobody
    assert (await spendings.approval(yes(1, "ani"))).role == "admin"


async def test_the_largest_amounts_are_counted_exactly(user_db: Database) -> None:
    spendings = await shop(user_db, idr(LARGEST_AMOUNT_MINOR))
    first = await spendings.authorise(order(1, idr(LARGEST_AMOUNT_MINOR - 1)), NOW)
    assert first is not None
    assert first.decision == "within_limit"
    assert await decision(spendings, order(2, idr(1))) == "within_limit"
    assert await decision(spendings, order(3, idr(1))) == "needs_approval"
    assert first.order == order(1, idr(LARGEST_AMOUNT_MINOR - 1))
    company = await D1Companies(user_db).get(company_id("ani"))
    assert company is not None
    assert company.member(usr("budi")).spent == (idr(LARGEST_AMOUNT_MINOR),)


async def test_what_is_recorded_of_an_order_changes_one_way_only(user_db: Database) -> None:
    spendings = await shop(user_db, idr(10))
    await spendings.authorise(order(1, idr(5)), NOW)
    await spendings.release(ord_id(2), NOW)
    for change in (
        "amount_minor = 4",
        "currency = 'USD'",
        "decision = 'needs_approval'",
        f"user_id = '{usr('ani')}'",
        f"decision = 'approved', approver_id = '{usr('ani')}', approved_at = '2026'",
    ):
        with raises(ConstraintViolated):
            await user_db.batch([Statement(f"UPDATE spending SET {change} WHERE order_id = ?", (ord_id(1),))])
    with raises(ConstraintViolated):
        await user_db.batch([Statement("UPDATE spending SET released_at = NULL WHERE order_id = ?", (ord_id(2),))])
    assert await decisions(user_db) == ["within_limit"]
