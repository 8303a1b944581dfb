"""What the schema of companies and spending refuses by itself, whatever the code above it decides."""

import re

import pytest

from shared_kernel.sql import ConstraintViolated, Statement
from tests.unit.user.company_world import World, idr, order_id, run, user

ANI, BUDI = user("ani"), user("budi")
COMPANY = "UPDATE companies SET version = version + 1"
MEMBER = f"UPDATE company_members SET version = version + 1 WHERE user_id = '{BUDI}'"
NEW = """INSERT INTO companies (id, name, tax_id, address, status, reason, version, created_at, updated_at)
VALUES ('cmp_1', 'n', {}, '{}', {}, NULL, {}, '', '')"""
INVITED = """INSERT INTO company_members (company_id, user_id, role, status, email, token_digest,
invitation_expires_at, created_at, updated_at)
SELECT id, {}, 'buyer', 'invited', {}, {}, '2026', '', '' FROM companies"""
DIGEST = f"'{'0' * 64}'"
JOIN = """UPDATE company_members SET version = version + 1, status = 'active', email = NULL, token_digest = NULL,
invitation_expires_at = NULL WHERE status = 'invited'"""

REFUSED = {
    "a company that begins as approved": (NEW.format("'2'", "{}", "'approved'", 1), "begins as pending"),
    "a company that begins at another version": (NEW.format("'2'", "{}", "'pending'", 2), "begins as pending"),
    "a tax number that another company has": (NEW.format("'01.234'", "{}", "'pending'", 1), "companies.tax_id"),
    "an address that is no JSON": (NEW.format("'2'", "no", "'pending'", 1), "json_valid"),
    "a company's version that is not the next": ("UPDATE companies SET version = version + 2", "changed by another"),
    "a company's change without a version": ("UPDATE companies SET name = 'other'", "changed by another"),
    "an approved company that is rejected": (f"{COMPANY}, status = 'rejected', reason = 'no'", "illegal change"),
    "an approved company that is pending again": (f"{COMPANY}, status = 'pending'", "illegal change"),
    "a member's version that is not the next": (MEMBER.replace("+ 1", "+ 2"), "changed by another"),
    "a member's role without a version": (
        f"UPDATE company_members SET role = 'buyer' WHERE user_id = '{BUDI}'",
        "changed by another",
    ),
    "a member who becomes another": (MEMBER.replace("WHERE", ", user_id = 'usr_1' WHERE"), "changed by another"),
    "a member who is invited again": (MEMBER.replace("WHERE", ", status = 'invited' WHERE"), "with his account"),
    "a limit without a currency": (MEMBER.replace("WHERE", ", limit_currency = NULL WHERE"), "limit_currency IS NULL"),
    "a limit below zero": (
        MEMBER.replace("WHERE", ", limit_minor = -1, limit_currency = 'IDR' WHERE"),
        "limit_minor >= 0",
    ),
    "a role that does not exist": (MEMBER.replace("WHERE", ", role = 'owner' WHERE"), "role IN"),
    "the last admin's departure": (f"DELETE FROM company_members WHERE user_id = '{ANI}'", "keeps an admin"),
    "the last admin's demotion": (
        MEMBER.replace(BUDI, ANI).replace("WHERE", ", role = 'buyer' WHERE"),
        "keeps an admin",
    ),
    "an invitation without a token": (INVITED.format("'usr_1'", "'a@b.c'", "NULL"), "token_digest IS NOT NULL"),
    "an invitation without an address": (INVITED.format("'usr_1'", "NULL", DIGEST), "email IS NOT NULL"),
    "a second invitation to an address": (
        INVITED.format("'usr_1'", "'dewi@example.com'", DIGEST),
        "company_members.email",
    ),
    "a member without an account": (JOIN, "with his account"),
    "an order without a decision": ("INSERT INTO spending (order_id) VALUES ('ord_1')", "decision IS NOT NULL"),
    "an approval by nobody": ("UPDATE spending SET decision = 'approved'", "approver_id IS NOT NULL"),
    "an approval by the buyer": (
        f"UPDATE spending SET decision = 'approved', approver_id = '{BUDI}', approved_at = ''",
        "approver_id <> user_id",
    ),
    "another amount": ("UPDATE spending SET amount_minor = 1", "illegal change"),
    "another buyer": (f"UPDATE spending SET user_id = '{ANI}'", "illegal change"),
    "a decision that is taken back": ("UPDATE spending SET decision = 'within_limit'", "illegal change"),
}


def shop() -> World:
    """Ani's approved company with Budi, who has an order that needs approval, and Dewi, who is invited."""
    world = World()
    company_id = world.approved("ani")
    world.account("budi")
    world.add("ani", company_id, "budi", limit=idr(0))
    world.add("ani", company_id, "dewi")
    world.authorise("1", "budi", company_id, idr(5))
    return world


@pytest.mark.parametrize("what", REFUSED)
def test_schema_refuses(what: str) -> None:
    world = shop()
    sql, reason = REFUSED[what]
    with pytest.raises(ConstraintViolated, match=re.escape(reason)):
        run(world.database.batch([Statement("DELETE FROM outbox"), Statement(sql)]))
    assert world.events() != []


def test_schema_refuses_changes_of_what_was_released() -> None:
    world = shop()
    world.release("1")
    for change in ("released_at = NULL", f"decision = 'approved', approver_id = '{ANI}', approved_at = ''"):
        with pytest.raises(ConstraintViolated):
            world.execute(f"UPDATE spending SET {change} WHERE order_id = ?", order_id("1"))


def test_schema_refuses_another_approver_than_the_one_who_said_yes() -> None:
    world = shop()
    world.execute(f"UPDATE spending SET decision = 'approved', approver_id = '{ANI}', approved_at = '2026'")
    world.account("citra")
    for change in (f"approver_id = '{user('citra')}'", "approved_at = '2027'"):
        with pytest.raises(ConstraintViolated, match="illegal change"):
            world.execute(f"UPDATE spending SET {change}")


def test_one_company_is_looked_up_by_an_index() -> None:
    world = shop()
    plans = {
        "SELECT company_id FROM buyers WHERE user_id = ?": "company_members_one_company",
        "SELECT company_id FROM company_members WHERE user_id = ? AND occupies = 1": "company_members_one_company",
        "SELECT total(amount_minor) FROM spending WHERE company_id = ? AND user_id = '' AND currency = ''"
        " AND released_at IS NULL": "spending_counted",
    }
    for sql, index in plans.items():
        plan = " ".join(str(row["detail"]) for row in world.query(f"EXPLAIN QUERY PLAN {sql}", ""))
        assert f"INDEX {index}" in plan
        assert "SCAN" not in plan
