"""New accounts: one for each address, with a password that nobody would guess first."""

import json

import pytest

from shared_kernel.contracts import user as contract
from shared_kernel.ids import derived_id
from tests.unit.user.account_world import PASSWORD, World, email, run
from user.domain.errors import EmailTaken, InvitationNotValid, PasswordNotAllowed
from user.domain.tokens import digest


def invite(world: World, name: str, token: str) -> str:
    """The id that this person's account will have, in an approved company."""
    at, user_id = "2026-11-21T00:00:00.000Z", derived_id("usr", name)
    founder = world.register("Founder")
    world.execute(
        f"""INSERT INTO companies (id, name, tax_id, address, status, version, created_at, updated_at)
        VALUES ('cmp_1', 'Toko', '1', '{{}}', 'pending', 1, '{at}', '{at}')"""
    )
    world.execute(
        f"""INSERT INTO company_members (company_id, user_id, role, status, created_at, updated_at)
        VALUES ('cmp_1', '{founder.id}', 'admin', 'active', '{at}', '{at}')"""
    )
    world.execute("UPDATE companies SET status = 'approved', version = 2")
    world.execute(
        f"""INSERT INTO company_members (company_id, user_id, role, status, email, token_digest, invitation_expires_at,
          created_at, updated_at)
        VALUES ('cmp_1', '{user_id}', 'buyer', 'invited', '{email(name)}', '{digest(token)}',
          '2026-12-01T00:00:00.000Z', '{at}', '{at}')"""
    )
    return user_id


def test_new_account_is_a_customer_and_is_told_and_audited() -> None:
    world = World()
    user = world.register("Ann")
    assert (user.role, user.disabled, user.version, user.company_id) == ("customer", False, 1, None)
    assert world.events() == [("user.registered", user.id)]
    assert world.audited() == [("user.registered", user.id, user.id)]
    assert world.published == 1


def test_event_of_a_registration_holds_neither_address_nor_name() -> None:
    world = World()
    world.register("Ann")
    (row,) = world.rows("SELECT event FROM outbox")
    assert json.loads(str(row["event"]))["data"] == {"role": "customer"}


def test_address_belongs_to_one_account_whatever_its_case() -> None:
    world = World()
    world.register("Ann")
    with pytest.raises(EmailTaken):
        world.register("Bob", email="ANN@Example.COM")
    assert len(world.events()) == len(world.audited()) == 1


def test_two_registrations_at_once_make_one_account() -> None:
    world = World()

    async def meanwhile() -> None:
        await world.guest.register(contract.Register(email=email("Ann"), password=PASSWORD, name="First"))

    world.database.meanwhile = meanwhile
    with pytest.raises(EmailTaken):
        world.register("Ann")
    assert [row["name"] for row in world.rows("SELECT name FROM users")] == ["First"]


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("Password1", "password_too_common"),
        ("aaaaaaaaaa", "password_too_common"),
        ("ann@example.com", "password_too_personal"),
    ],
)
def test_refused_password_makes_no_account(password: str, code: str) -> None:
    world = World()
    with pytest.raises(PasswordNotAllowed) as refusal:
        world.register("Ann", password=password)
    assert refusal.value.code == code
    assert world.rows("SELECT id FROM users") == []


def test_invited_person_becomes_a_buyer_with_the_reserved_id() -> None:
    world = World()
    user_id = invite(world, "Bob", "the token")
    user = world.register("Bob", invitation_token="the token")
    assert (user.id, user.role, user.company_id) == (user_id, "buyer", "cmp_1")
    assert world.events()[-2:] == [("user.registered", user_id), ("company.member_changed", "cmp_1")]
    assert sorted(world.audited()[-2:]) == [
        ("company.member_changed", user_id, user_id),
        ("user.registered", user_id, user_id),
    ]


@pytest.mark.parametrize(("name", "token"), [("Bob", "another token"), ("Eve", "the token")])
def test_invitation_is_good_only_for_its_address_with_its_token(name: str, token: str) -> None:
    world = World()
    invite(world, "Bob", "the token")
    with pytest.raises(InvitationNotValid):
        world.register(name, invitation_token=token)
    assert len(world.rows("SELECT id FROM users")) == 1


def test_invitation_is_taken_once_and_not_after_its_time() -> None:
    world = World()
    invite(world, "Bob", "the token")
    world.wait(30 * 86_400)
    with pytest.raises(InvitationNotValid):
        world.register("Bob", invitation_token="the token")


def test_invitation_that_is_withdrawn_at_that_moment_makes_no_account() -> None:
    world = World()
    invite(world, "Bob", "the token")

    async def meanwhile() -> None:
        world.execute_now("DELETE FROM company_members WHERE status = 'invited'")

    world.database.meanwhile = meanwhile
    with pytest.raises(InvitationNotValid):
        world.register("Bob", invitation_token="the token")
    assert len(world.rows("SELECT id FROM users")) == 1


def test_without_the_token_an_invited_address_gets_an_account_of_its_own() -> None:
    world = World()
    user_id = invite(world, "Bob", "the token")
    user = world.register("Bob")
    assert user.id != user_id
    assert user.role == "customer"


def test_address_is_found_in_any_case() -> None:
    world = World()
    user = world.register("Ann")
    found = run(world.stores.accounts.find("ANN@EXAMPLE.com"))
    assert found is not None
    assert found.id == user.id
