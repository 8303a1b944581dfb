"""The adapter of companies: a change with all that is told of it or none, one company for each account, its buyers."""

from dataclasses import replace

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.company import CompanyAddress, ListCompanies, NewCompany
from shared_kernel.ids import derived_id
from shared_kernel.money import LARGEST_AMOUNT_MINOR, Money
from shared_kernel.sql import ConstraintViolated, Database, Statement
from tests.workerd.cases.at_once import at_once
from tests.workerd.cases.expecting import raises
from tests.workerd.cases.scratch import NOW, thing_made
from user.application.ports import Told
from user.domain.audit import entry
from user.domain.company import Company, founded, invited
from user.domain.tokens import digest
from user.infrastructure.d1_companies import D1Companies, joining

TOKEN = "token"
LARGEST = Money(amount=LARGEST_AMOUNT_MINOR, currency="IDR")
NEW = NewCompany(
    name="Toko \U0001f455",
    tax_id="np-1",
    address=CompanyAddress(line1="Jl. O'Hare 1", city="Jakarta", postal_code="10220", country="ID"),
)


def usr(person: str) -> str:
    return derived_id("usr", person)


def company_id(name: str) -> str:
    return derived_id("cmp", name)


def account(user_id: str, person: str) -> Statement:
    return Statement(
        """INSERT INTO users (id, email, name, password_hash, given_role, disabled, version, created_at, updated_at)
        VALUES (?, ?, ?, '$argon2id$x', 'customer', 0, 1, '2026', '2026')""",
        (user_id, f"{person}@example.com", person),
    )


async def buyer_company(database: Database, user_id: str) -> str | None:
    return await database.text("SELECT company_id FROM buyers WHERE user_id = ?", user_id)


def told(what: str) -> Told:
    return Told([entry("company.founded", usr("ani"), company_id("one"), NOW, {"what": what})], [thing_made(what)])


async def subjects(database: Database) -> list[object]:
    rows = await database.rows("SELECT event ->> 'subject' AS subject FROM outbox ORDER BY position")
    assert len(await database.rows("SELECT id FROM audit")) == len(rows)
    return [row["subject"] for row in rows]


async def company_of(database: Database, founder: str, tax_id: str = "np-1", approved: bool = True) -> Company:
    """A stored company, whose founder gets an account."""
    await database.batch([account(usr(founder), founder)])
    stored = D1Companies(database)
    founding = await stored.founding(usr(founder), tax_id)
    pending = founded(company_id(founder), NEW.model_copy(update={"tax_id": tax_id}), founding, NOW)
    await stored.save(None, pending, told(f"founded by {founder}"))
    if not approved:
        return pending
    company = pending.reviewed("approved", None, NOW)
    await stored.save(pending, company, told(f"approved {founder}"))
    return company


async def added(database: Database, company: Company, person: str, limit: Money | None = None) -> Company:
    """The company with one more buyer, who gets an account."""
    await database.batch([account(usr(person), person)])
    stored = D1Companies(database)
    one = await stored.account(f"{person}@example.com", company.id)
    assert one is not None
    after = company.joined_by(one, "buyer", limit, NOW)
    await stored.save(company, after, told(f"added {person}"))
    return after


async def test_a_company_comes_out_as_it_went_in(user_db: Database) -> None:
    company = await added(user_db, await company_of(user_db, "ani"), "budi", LARGEST)
    stored = D1Companies(user_db)
    one = invited(usr("citra"), "citra@example.com", "approver", None, TOKEN, NOW)
    after = company.inviting(one, NOW)
    await stored.save(company, after, told("invited"))
    kept = await stored.get(company.id)
    assert kept is not None
    assert sorted(kept.members, key=repr) == sorted(after.members, key=repr)
    assert replace(kept, members=()) == replace(after, members=())
    assert await stored.get(company_id("none")) is None
    assert await subjects(user_db) == ["founded by ani", "approved ani", "added budi", "invited"]


async def test_a_change_on_an_older_version_fails_as_a_whole(user_db: Database) -> None:
    pending = await company_of(user_db, "ani", approved=False)
    stored = D1Companies(user_db)
    await stored.save(pending, pending.reviewed("rejected", "no", NOW), told("rejected"))
    with raises(ConstraintViolated):
        await stored.save(pending, pending.reviewed("approved", None, NOW), told("too late"))
    kept = await stored.get(pending.id)
    assert kept is not None
    assert (kept.status, kept.reason, kept.version) == ("rejected", "no", 2)
    assert await subjects(user_db) == ["founded by ani", "rejected"]


async def test_an_account_has_one_company_that_was_not_rejected(user_db: Database) -> None:
    pending = await company_of(user_db, "ani", approved=False)
    stored = D1Companies(user_db)
    founding = await stored.founding(usr("ani"), "NP-1")
    assert founding.founder is not None
    assert (founding.founder.company_id, founding.tax_id_taken) == (pending.id, True)
    second = replace(pending, id=company_id("second"), tax_id="other")
    with raises(ConstraintViolated):
        await stored.save(None, second, told("second"))
    with raises(ConstraintViolated):
        await stored.save(None, replace(pending, id=company_id("third"), members=()), told("tax number"))
    await stored.save(pending, pending.reviewed("rejected", "no", NOW), told("rejected"))
    free = await stored.founding(usr("ani"), "np-1")
    assert free.founder is not None
    assert (free.founder.company_id, free.tax_id_taken) == (None, False)
    await stored.save(None, replace(second, tax_id="np-1"), told("anew"))
    assert await subjects(user_db) == ["founded by ani", "rejected", "anew"]


async def test_an_account_that_many_companies_add_at_once_gets_into_one(user_db: Database) -> None:
    companies = [await company_of(user_db, f"p{number}", tax_id=str(number)) for number in range(6)]
    await user_db.batch([account(usr("budi"), "budi")])
    stored = D1Companies(user_db)
    one = await stored.account("budi@example.com", companies[0].id)
    assert one is not None
    answers = await at_once(
        [stored.save(each, each.joined_by(one, "buyer", None, NOW), told(each.id)) for each in companies]
    )
    assert sorted(str(type(answer).__name__) for answer in answers) == ["ConstraintViolated"] * 5 + ["NoneType"]
    members = await user_db.rows("SELECT company_id FROM company_members WHERE user_id = ?", usr("budi"))
    assert [row["company_id"] for row in members] == [(await subjects(user_db))[-1]]
    assert await buyer_company(user_db, usr("budi")) == members[0]["company_id"]


async def test_a_company_keeps_an_admin_whatever_is_written(user_db: Database) -> None:
    company = await company_of(user_db, "ani")
    for sql in (
        "DELETE FROM company_members WHERE company_id = ?",
        "UPDATE company_members SET role = 'buyer', version = version + 1 WHERE company_id = ?",
    ):
        with raises(ConstraintViolated) as refusals:
            await user_db.batch([Statement(sql, (company.id,))])
        assert "keeps an admin" in str(refusals[0])


async def test_buyers_are_members_of_approved_companies_with_an_enabled_customers_account(user_db: Database) -> None:
    pending = await company_of(user_db, "ani", approved=False)
    assert await buyer_company(user_db, usr("ani")) is None
    await D1Companies(user_db).save(pending, pending.reviewed("approved", None, NOW), told("approved"))
    assert await buyer_company(user_db, usr("ani")) == pending.id
    for change in ("disabled = 1", "given_role = 'staff', disabled = 0"):
        await user_db.batch([Statement(f"UPDATE users SET {change}")])
        assert await buyer_company(user_db, usr("ani")) is None


async def test_who_takes_an_invitation_is_a_member_with_his_account_or_has_none(user_db: Database) -> None:
    company = await company_of(user_db, "ani")
    stored = D1Companies(user_db)
    one = invited(usr("budi"), "budi@example.com", "approver", None, TOKEN, NOW)
    await stored.save(company, company.inviting(one, NOW), told("invited"))
    invitation = await stored.invitation(digest(TOKEN))
    assert invitation is not None
    assert (invitation.user_id, invitation.email, invitation.role) == (usr("budi"), "budi@example.com", "approver")
    assert await stored.invitation(digest("another")) is None
    join = joining(invitation, rfc3339(NOW))
    with raises(ConstraintViolated):
        await user_db.batch(join)
    await user_db.batch([account(usr("budi"), "budi"), *join])
    assert await buyer_company(user_db, usr("budi")) == company.id
    assert await stored.invitation(digest(TOKEN)) is None
    kept = await stored.get(company.id)
    assert kept is not None
    assert (kept.version, kept.member(usr("budi")).version) == (4, 2)
    with raises(ConstraintViolated):
        await user_db.batch(join)


async def test_the_list_goes_from_the_newest_and_can_be_narrowed(user_db: Database) -> None:
    companies = [
        await company_of(user_db, name, tax_id=name, approved=name != "pending") for name in ("a", "b", "pending")
    ]
    ids = sorted((company.id for company in companies), reverse=True)
    stored = D1Companies(user_db)
    everything = await stored.page(ListCompanies(limit=1), None)
    assert [listed.place.id for listed in everything] == ids[:2]
    further = await stored.page(ListCompanies(), everything[0].place)
    assert [listed.place.id for listed in further] == ids[1:]
    narrowed = await stored.page(ListCompanies(status="pending"), None)
    assert [listed.place.id for listed in narrowed] == [company_id("pending")]
