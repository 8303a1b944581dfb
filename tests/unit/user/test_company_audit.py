"""The audit of a company: what was done to it and to its members is found by the company, and by each of them."""

import json
from typing import Any

from shared_kernel.contracts.user import ListAudit
from shared_kernel.cursor import Cursor
from shared_kernel.sql import Row, SqlValue
from tests.unit.sqlite_database import SqliteDatabase, migrations
from tests.unit.user.company_world import World, run, user
from user.infrastructure.d1_directory import D1Directory


def history() -> tuple[World, str]:
    """Ani's company, of which Budi was a member for a while, and one of Citra's."""
    world = World()
    company_id = world.approved("ani")
    world.approved("citra", tax_id="2")
    world.account("budi")
    world.add("ani", company_id, "budi")
    world.change("ani", company_id, "budi", role="approver")
    world.remove("ani", company_id, user("budi"))
    return world, company_id


def audit(world: World, subject: str, limit: int = 20, after: Cursor | None = None) -> list[tuple[str, Cursor]]:
    """Actions with their places, newest first."""
    listed = run(D1Directory(world.database).audit(ListAudit(subject=subject, limit=limit), after))
    return [(json.loads(one.json)["action"], one.place) for one in listed]


def actions(world: World, subject: str) -> list[str]:
    return [action for action, _ in audit(world, subject)]


def test_audit_of_a_company_holds_what_was_done_to_its_members() -> None:
    world, company_id = history()
    assert actions(world, company_id) == [
        "company.member_removed",
        "company.member_changed",
        "company.member_added",
        "company.approved",
        "company.founded",
    ]


def test_audit_of_an_account_holds_what_it_became_in_its_company_and_no_others_rights() -> None:
    world, _ = history()
    assert actions(world, user("ani")) == ["company.founded"]
    assert actions(world, user("budi")) == [
        "company.member_removed",
        "company.member_changed",
        "company.member_added",
    ]


def test_audit_of_a_company_goes_page_by_page() -> None:
    world, company_id = history()
    everything = audit(world, company_id)
    places = [None, *(place for _, place in everything)]
    pages = [audit(world, company_id, limit=1, after=place) for place in places]
    assert pages == [everything[start : start + 2] for start in range(len(everything) + 1)]


def test_audit_of_one_subject_is_read_from_indexes_in_its_order() -> None:
    asked: list[tuple[str, tuple[SqlValue, ...]]] = []

    class Noting(SqliteDatabase):
        async def rows(self, sql: str, *parameters: SqlValue) -> list[Row]:
            asked.append((sql, parameters))
            return await super().rows(sql, *parameters)

    database = Noting(migrations("user"))
    run(D1Directory(database).audit(ListAudit(subject=user("ani")), None))
    ((sql, parameters),) = asked
    plan: list[Any] = [row["detail"] for row in run(database.rows(f"EXPLAIN QUERY PLAN {sql}", *parameters))]
    told = " ".join(map(str, plan))
    assert "INDEX audit_by_subject (subject_id=? AND id<?)" in told
    assert "INDEX audit_by_company (<expr>=? AND id<?)" in told
    assert "MERGE (UNION)" in told
    assert "TEMP B-TREE" not in told
