"""Invitations: who has no account yet registers with one, and is a member at once."""

import pytest

from shared_kernel.contracts import company as contract
from shared_kernel.sql import ConstraintViolated
from tests.unit.user.company_world import World, account, email, idr, run, user
from user.domain.company import INVITATION_SECONDS
from user.domain.company_errors import (
    AlreadyAMember,
)
from user.domain.tokens import digest
from user.infrastructure.d1_companies import joining


def test_unknown_address_is_invited_and_its_token_is_told_once() -> None:
    world = World()
    company_id = world.approved("ani")
    invited = world.add("ani", company_id, "budi", limit=idr(500))
    assert (invited.status, invited.email, invited.name) == ("invited", email("budi"), None)
    assert invited.invitation_token is not None
    shown = world.seen(company_id, "ani").members[1]
    assert shown == invited.model_copy(update={"invitation_token": None})
    assert invited.invitation_token not in str(world.query("SELECT * FROM company_members"))
    assert invited.invitation_token not in repr(invited)
    assert world.events()[-1][2]["status"] == "invited"


def test_who_registers_with_the_invitation_is_the_member_that_was_invited() -> None:
    world = World()
    company_id = world.approved("ani")
    invited = world.add("ani", company_id, "budi", limit=idr(500))
    token = invited.invitation_token or ""
    before = world.seen(company_id, "ani").version
    assert world.register("budi", token) == invited.user_id
    company = world.seen(company_id, "ani")
    member = company.members[1]
    assert (member.user_id, member.status, member.name, member.version) == (invited.user_id, "active", "Budi", 2)
    assert member.spending_limit == idr(500)
    assert company.version == before + 1
    assert world.query("SELECT company_id FROM buyers WHERE user_id = ?", invited.user_id)
    assert run(world.stored.invitation(digest(token))) is None


def test_invitation_is_good_for_its_address_and_its_time_only() -> None:
    world = World()
    company_id = world.approved("ani")
    token = world.add("ani", company_id, "budi").invitation_token or ""
    invitation = run(world.stored.invitation(digest(token)))
    assert invitation is not None
    assert invitation.is_good_for("Budi@Example.com", world.now)
    assert not invitation.is_good_for(email("citra"), world.now)
    world.wait(INVITATION_SECONDS - 1)
    assert invitation.is_good_for(email("budi"), world.now)
    world.wait(1)
    assert not invitation.is_good_for(email("budi"), world.now)
    assert run(world.stored.invitation(digest(token + "x"))) is None


def test_invitation_that_was_taken_back_or_changed_makes_no_account() -> None:
    world = World()
    company_id = world.approved("ani")
    invited = world.add("ani", company_id, "budi")
    invitation = run(world.stored.invitation(digest(invited.invitation_token or "")))
    assert invitation is not None
    request = contract.ChangeMember(
        company_id=company_id, user_id=invited.user_id, expected_version=1, role="approver", keeps_limit=True
    )
    run(world.companies("ani").change_member(request))
    batch = [account(invited.user_id, email("budi")), *joining(invitation, "2026")]
    with pytest.raises(ConstraintViolated):
        run(world.database.batch(batch))
    world.remove("ani", company_id, invited.user_id)
    with pytest.raises(ConstraintViolated):
        run(world.database.batch(batch))
    assert world.query("SELECT id FROM users WHERE id = ?", invited.user_id) == []
    assert [each.user_id for each in world.seen(company_id, "ani").members] == [user("ani")]


def test_address_is_invited_once_until_the_invitation_is_taken_back() -> None:
    world = World()
    company_id = world.approved("ani")
    first = world.add("ani", company_id, "budi")
    with pytest.raises(AlreadyAMember):
        world.add("ani", company_id, "budi")
    world.remove("ani", company_id, first.user_id)
    assert world.add("ani", company_id, "budi").user_id != first.user_id


def test_two_companies_may_invite_one_address() -> None:
    world = World()
    one, other = world.approved("ani"), world.approved("citra", tax_id="2")
    first, second = world.add("ani", one, "budi"), world.add("citra", other, "budi")
    world.register("budi", second.invitation_token or "")
    with pytest.raises(AlreadyAMember):
        world.add("ani", one, "budi")
    with pytest.raises(ConstraintViolated):
        world.register("budi", first.invitation_token or "")


def test_who_was_invited_and_registered_without_the_invitation_takes_its_place_when_added() -> None:
    world = World()
    company_id = world.approved("ani")
    invited = world.add("ani", company_id, "budi")
    world.account("budi")
    member = world.add("ani", company_id, "budi", "approver")
    assert (member.user_id, member.status) == (user("budi"), "active")
    assert [each.user_id for each in world.seen(company_id, "ani").members] == [user("ani"), user("budi")]
    told = {(kind, data["user_id"]) for kind, _, data in world.events()[-2:]}
    assert told == {("company.member_removed", invited.user_id), ("company.member_added", user("budi"))}
    assert {(action, subject) for action, _, subject, _ in world.audit()[-2:]} == told
    assert run(world.stored.invitation(digest(invited.invitation_token or ""))) is None
