"""Admins: what they see, which rights they give and take, and that each change is told and audited with it."""

import json
from typing import Any

import pytest

from shared_kernel.contracts import user as contract
from shared_kernel.contracts.model import Nothing
from shared_kernel.cursor import InvalidCursor
from shared_kernel.errors import Forbidden, Unauthenticated
from shared_kernel.permissions import Kind
from tests.unit.user.account_world import NO_USER, World, run
from user.domain.errors import InvalidCredentials, InvalidToken, LastAdmin, StaleVersion, UserNotFound


def page(world: World, **wanted: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(world.admin().list_users(contract.ListUsers.model_validate(wanted))))
    return answer


def audit(world: World, **wanted: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(world.admin().list_audit(contract.ListAudit.model_validate(wanted))))
    return answer


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        ("guest", Unauthenticated),
        ("customer", Forbidden),
        ("buyer", Forbidden),
        ("staff", Forbidden),
        ("service", Forbidden),
    ],
)
def test_only_admins_care_for_accounts(kind: Kind, refusal: type[Exception]) -> None:
    world = World()
    user = world.register("Ann")
    admin = world.admin(kind)
    change = contract.ChangeUser(id=user.id, expected_version=1, changes=contract.UserChanges(role="admin"))
    for work in (
        admin.list_users(contract.ListUsers()),
        admin.get_user(contract.GetUser(id=user.id)),
        admin.change_user(change),
        admin.list_audit(contract.ListAudit()),
        admin.rotate_keys(Nothing()),
    ):
        with pytest.raises(refusal):
            run(work)
    assert world.rows("SELECT given_role FROM users") == [{"given_role": "customer"}]


def test_role_that_is_given_is_told_audited_and_in_the_next_token() -> None:
    world = World()
    user = world.register("Ann")
    tokens = world.sign_in("Ann")
    staff = world.change(user, role="staff")
    assert (staff.role, staff.version) == ("staff", 2)
    assert world.events()[1:] == [("user.role_changed", user.id)]
    assert world.audited()[1:] == [("user.role_changed", NO_USER, user.id)]
    assert audit(world)["items"][0]["details"] == {"from": "customer", "to": "staff"}
    assert world.standing(tokens).role == "staff"


def test_disabled_account_can_neither_sign_in_nor_refresh_and_its_sessions_are_over() -> None:
    world = World()
    user = world.register("Ann")
    tokens = world.sign_in("Ann")
    disabled = world.change(user, disabled=True)
    assert disabled.disabled
    for refused, attempt in ((InvalidToken, world.refresh), (InvalidToken, world.standing)):
        with pytest.raises(refused):
            attempt(tokens)
    with pytest.raises(InvalidCredentials):
        world.sign_in("Ann")
    enabled = world.change(disabled, disabled=False)
    assert not enabled.disabled
    with pytest.raises(InvalidToken):
        world.refresh(tokens)
    world.sign_in("Ann")
    assert [action for action, _, _ in world.audited()[1:]] == ["user.disabled", "user.enabled"]
    assert [kind for kind, _ in world.events()[1:]] == ["user.disabled", "user.enabled"]


def test_two_rights_that_change_together_are_told_one_by_one() -> None:
    world = World()
    world.change(world.register("Ann"), role="staff", disabled=True)
    assert sorted(action for action, _, _ in world.audited()[1:]) == ["user.disabled", "user.role_changed"]
    assert [kind for kind, _ in world.events()[1:]] == ["user.role_changed", "user.disabled"]


def test_change_of_nothing_is_neither_told_nor_audited() -> None:
    world = World()
    user = world.register("Ann")
    published = world.published
    assert world.change(user, role="customer", disabled=False) == user
    assert len(world.events()) == len(world.audited()) == 1
    assert world.published == published


def test_change_of_an_older_version_or_of_nobody_is_refused() -> None:
    world = World()
    user = world.register("Ann")
    world.change(user, role="staff")
    with pytest.raises(StaleVersion) as refusal:
        world.change(user, role="admin")
    assert refusal.value.details == {"version": 2}
    with pytest.raises(UserNotFound):
        world.change(user.model_copy(update={"id": NO_USER}), role="admin")
    with pytest.raises(UserNotFound):
        run(world.admin().get_user(contract.GetUser(id=NO_USER)))


def test_change_that_somebody_else_made_at_that_moment_is_not_overwritten() -> None:
    world = World()
    user = world.register("Ann")

    async def meanwhile() -> None:
        world.execute_now("UPDATE users SET name = 'Anna', version = 2")

    world.database.meanwhile = meanwhile
    with pytest.raises(StaleVersion):
        world.change(user, role="admin")
    assert world.rows("SELECT name, given_role FROM users") == [{"name": "Anna", "given_role": "customer"}]
    assert len(world.audited()) == len(world.events()) == 1


@pytest.mark.parametrize("changes", [{"role": "staff"}, {"role": "customer"}, {"disabled": True}])
def test_last_admin_stays(changes: dict[str, object]) -> None:
    world = World()
    admin = world.change(world.register("Ann"), role="admin")
    other = world.change(world.register("Bob"), role="admin")
    world.change(other, **changes)
    with pytest.raises(LastAdmin):
        world.change(admin, **changes)
    assert run(world.admin().get_user(contract.GetUser(id=admin.id))) == admin


def test_two_admins_who_disable_each_other_at_once_do_not_both_succeed() -> None:
    world = World()
    first = world.change(world.register("Ann"), role="admin")
    second = world.change(world.register("Bob"), role="admin")

    async def meanwhile() -> None:
        changes = contract.UserChanges(disabled=True)
        await world.admin().change_user(contract.ChangeUser(id=second.id, expected_version=2, changes=changes))

    world.database.meanwhile = meanwhile
    with pytest.raises(LastAdmin):
        world.change(first, disabled=True)
    assert len(world.audited("user.disabled")) == 1


def test_accounts_are_listed_newest_first_in_pages() -> None:
    world = World()
    people = [world.register(name) for name in ("Ann", "Bob", "Cid")]
    world.wait(1)
    first = page(world, limit=2)
    assert [item["id"] for item in first["items"]] == [people[2].id, people[1].id]
    assert contract.User.model_validate(first["items"][0]) == people[2]
    rest = page(world, limit=2, cursor=first["next_cursor"])
    assert [item["id"] for item in rest["items"]] == [people[0].id]
    assert rest["next_cursor"] is None


def test_accounts_are_found_by_address_and_by_role() -> None:
    world = World()
    world.change(world.register("Ann"), role="staff")
    bob = world.register("Bob")
    assert [item["id"] for item in page(world, email="BOB@example.com")["items"]] == [bob.id]
    assert [item["name"] for item in page(world, role="staff")["items"]] == ["Ann"]
    assert page(world, role="admin") == {"items": [], "next_cursor": None}


def test_audit_is_listed_newest_first_of_one_or_of_all() -> None:
    world = World()
    ann, bob = world.register("Ann"), world.register("Bob")
    world.change(ann, role="staff")
    assert [item["action"] for item in audit(world, subject=ann.id)["items"]] == [
        "user.role_changed",
        "user.registered",
    ]
    first = audit(world, limit=2)
    rest = audit(world, limit=2, cursor=first["next_cursor"])
    assert [item["subject_id"] for item in first["items"] + rest["items"]] == [ann.id, bob.id, ann.id]
    assert rest["next_cursor"] is None


def test_cursor_of_one_list_is_refused_by_the_other() -> None:
    world = World()
    for name in ("Ann", "Bob"):
        world.register(name)
    with pytest.raises(InvalidCursor):
        audit(world, cursor=page(world, limit=1)["next_cursor"])


@pytest.mark.parametrize("sql", ["UPDATE audit SET actor_id = 'nobody'", "DELETE FROM audit"])
def test_audit_cannot_be_rewritten(sql: str) -> None:
    world = World()
    world.register("Ann")
    before = world.audited()
    with pytest.raises(Exception, match="illegal"):
        world.execute(sql)
    assert world.audited() == before
