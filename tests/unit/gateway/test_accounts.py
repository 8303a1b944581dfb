"""The routes of accounts and companies: what reaches the user service, and what is answered."""

import pytest

from tests.unit.gateway.client import STAFF_TOKEN, Client, problem_of, told
from tests.unit.gateway.companies import NEW_COMPANY
from tests.unit.gateway.people import PASSWORD
from tests.unit.gateway.shop import ORDER_ID
from tests.unit.gateway.signing import COMPANY_ID, KID, USER_IDS, access_token

CUSTOMER, BUYER, STAFF, ADMIN = (access_token(role) for role in ("customer", "buyer", "staff", "admin"))
SEEN, STALE = {"if-match": '"3"'}, {"if-match": '"2"'}
SIGN_IN = {"email": "siti@example.com", "password": PASSWORD}
COMPANY = f"/api/companies/{COMPANY_ID}"
MEMBER = f"{COMPANY}/members/{USER_IDS['buyer']}"
LIMIT = {"amount": 100, "currency": "IDR"}


def test_new_account_says_where_it_is_and_its_version() -> None:
    response = Client().ask("POST", "/api/auth/register", json_body={**SIGN_IN, "name": " Siti "})
    assert response.headers["location"] == "/api/users/me"
    assert response.headers["etag"].startswith('"1-')
    assert told(response)["name"] == "Siti"
    assert "company_id" not in told(response)


def test_address_that_is_taken_is_a_conflict() -> None:
    body = {"email": "taken@example.com", "password": PASSWORD, "name": "Siti"}
    problem_of(Client().ask("POST", "/api/auth/register", json_body=body), 409, "email_taken")


@pytest.mark.parametrize("password", ["seven77", "x" * 129])
def test_unfit_password_is_told_by_its_field_and_not_repeated(password: str) -> None:
    body = {"email": "siti@example.com", "password": password, "name": "Siti"}
    client = Client()
    response = client.ask("POST", "/api/auth/register", json_body=body)
    problem = problem_of(response, 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["password"]
    assert password not in str(response.text)
    assert client.shop.asked == []


def test_role_cannot_be_registered() -> None:
    body = {**SIGN_IN, "name": "Siti", "role": "admin"}
    problem_of(Client().ask("POST", "/api/auth/register", json_body=body), 422, "invalid")


def test_sign_in_answers_tokens_that_nobody_keeps() -> None:
    response = Client().ask("POST", "/api/auth/login", json_body=SIGN_IN)
    assert set(told(response)) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert response.headers["cache-control"] == "no-store"


def test_sign_in_tells_the_user_service_where_it_comes_from() -> None:
    client = Client()
    client.ask("POST", "/api/auth/login", json_body=SIGN_IN, headers={"cf-connecting-ip": "203.0.113.7"})
    (attempt,) = client.shop.attempts
    assert (attempt.email, attempt.address) == ("siti@example.com", "203.0.113.7")


def test_address_of_a_sign_in_cannot_be_made_up() -> None:
    client = Client()
    body = {**SIGN_IN, "address": "198.51.100.1"}
    problem_of(client.ask("POST", "/api/auth/login", json_body=body), 422, "invalid")
    client.ask("POST", "/api/auth/login", json_body=SIGN_IN, headers={"x-forwarded-for": "198.51.100.1"})
    assert [attempt.address for attempt in client.shop.attempts] == [""]


def test_wrong_password_is_401() -> None:
    response = Client().ask("POST", "/api/auth/login", json_body={**SIGN_IN, "password": "another"})
    problem_of(response, 401, "invalid_credentials")
    assert response.headers["www-authenticate"] == 'Bearer realm="pasar"'


def test_too_many_sign_ins_say_when_to_come_back() -> None:
    response = Client().ask("POST", "/api/auth/login", json_body={**SIGN_IN, "email": "tried@example.com"})
    problem_of(response, 429, "too_many_sign_ins")
    assert response.headers["retry-after"] == "321"


def test_refresh_token_that_is_not_good_is_401() -> None:
    client = Client()
    body = {"refresh_token": "refresh-0"}
    problem_of(client.ask("POST", "/api/auth/refresh", json_body=body), 401, "invalid_token")
    assert (
        client.ask("POST", "/api/auth/refresh", json_body={"refresh_token": "refresh-1"}, token="a.b.c").status == 200
    )


def test_signing_out_ends_the_callers_session() -> None:
    client = Client()
    response = client.ask("POST", "/api/auth/logout", json_body={}, token=CUSTOMER)
    assert (response.status, response.text) == (204, None)
    assert client.shop.asked[-1][1].session_id is not None


def test_signing_out_needs_something_that_names_a_session() -> None:
    problem_of(Client().ask("POST", "/api/auth/logout", json_body={}), 401, "unauthenticated")


def test_keys_may_be_kept_for_a_minute() -> None:
    response = Client().ask("GET", "/.well-known/jwks.json")
    assert response.headers["cache-control"] == "public, max-age=60"
    assert [key["kid"] for key in told(response)["keys"]] == [KID]


def test_rotation_answers_the_keys_after_it() -> None:
    client = Client()
    response = client.ask("POST", "/api/signing-keys/rotate", token=ADMIN)
    assert [key["kid"] for key in told(response)["keys"]] == [KID]
    assert client.shop.asked[-1] == ("rotate_keys", client.shop.asked[-1][1])
    assert client.shop.asked[-1][1].kind == "admin"


def test_ones_own_account_is_not_sent_again() -> None:
    client = Client()
    first = client.ask("GET", "/api/users/me", token=CUSTOMER)
    assert told(first)["id"] == USER_IDS["customer"]
    held = {"if-none-match": first.headers["etag"]}
    assert client.ask("GET", "/api/users/me", token=CUSTOMER, headers=held).status == 304


def test_role_that_came_under_the_same_version_is_sent() -> None:
    client = Client()
    as_customer = client.ask("GET", "/api/users/me", token=CUSTOMER)
    as_buyer = client.ask("GET", "/api/users/me", token=BUYER, headers={"if-none-match": as_customer.headers["etag"]})
    assert told(as_customer)["version"] == told(as_buyer)["version"]
    assert (as_buyer.status, told(as_buyer)["role"]) == (200, "buyer")


def test_staff_token_has_no_account() -> None:
    problem_of(Client().ask("GET", "/api/users/me", token=STAFF_TOKEN), 404, "user_not_found")


@pytest.mark.parametrize(
    ("path", "body", "token"),
    [
        ("/api/users/me", {"name": "Siti Rahma"}, CUSTOMER),
        (f"/api/users/{USER_IDS['staff']}", {"disabled": True}, ADMIN),
        (MEMBER, {"role": "approver"}, BUYER),
    ],
)
def test_change_needs_the_version_that_was_seen(path: str, body: dict[str, object], token: str) -> None:
    client = Client()
    problem_of(client.ask("PATCH", path, json_body=body, token=token), 428, "precondition_required")
    problem_of(client.ask("PATCH", path, json_body=body, token=token, headers=STALE), 412, "stale_version")
    changed = client.ask("PATCH", path, json_body=body, token=token, headers=SEEN)
    assert (changed.status, changed.headers["etag"][:3]) == (200, '"4-')


def test_wrong_present_password_is_403() -> None:
    body = {"current_password": "another", "new_password": "sandi yang baru"}
    problem_of(Client().ask("POST", "/api/users/me/password", json_body=body, token=CUSTOMER), 403, "wrong_password")


@pytest.mark.parametrize("role", ["buyer", "service", "guest", ""])
def test_role_that_cannot_be_given_is_refused(role: str) -> None:
    path = f"/api/users/{USER_IDS['staff']}"
    problem_of(Client().ask("PATCH", path, json_body={"role": role}, token=ADMIN, headers=SEEN), 422, "invalid")


def test_last_admin_stays() -> None:
    path = f"/api/users/{USER_IDS['admin']}"
    body = {"role": "customer"}
    problem_of(Client().ask("PATCH", path, json_body=body, token=ADMIN, headers=SEEN), 409, "last_admin")


def test_me_is_no_id_and_an_id_is_not_me() -> None:
    client = Client()
    client.ask("GET", "/api/users/me", token=ADMIN)
    client.ask("GET", f"/api/users/{USER_IDS['staff']}", token=ADMIN)
    assert [method for method, _ in client.shop.asked][-2:] == ["get_me", f"get_user {USER_IDS['staff']}"]
    problem_of(client.ask("GET", "/api/users/you", token=ADMIN), 404, "not_found")


def test_audit_of_one_subject_is_asked_for() -> None:
    client = Client()
    client.ask("GET", f"/api/audit?subject={USER_IDS['staff']}", token=ADMIN)
    assert client.shop.asked[-1][0] == f"list_audit subject={USER_IDS['staff']}"


def test_new_company_says_where_it_is_and_waits() -> None:
    response = Client().ask("POST", "/api/companies", json_body=NEW_COMPANY, token=CUSTOMER)
    assert response.headers["location"] == COMPANY
    assert (told(response)["status"], response.headers["etag"][:3]) == ("pending", '"1-')


def test_company_does_not_exist_for_others() -> None:
    problem_of(Client().ask("GET", COMPANY, token=CUSTOMER), 404, "company_not_found")


def test_decisions_on_a_company_reach_the_user_service() -> None:
    client = Client()
    assert told(client.ask("POST", f"{COMPANY}/approve", token=STAFF))["status"] == "approved"
    rejected = client.ask("POST", f"{COMPANY}/reject", json_body={"reason": " no tax id "}, token=STAFF)
    assert told(rejected)["status"] == "rejected"
    decisions = [(review.id, review.decision, review.reason) for review in client.shop.reviews]
    assert decisions == [(COMPANY_ID, "approved", None), (COMPANY_ID, "rejected", "no tax id")]


def test_rejection_needs_a_reason() -> None:
    client = Client()
    for body in ({}, {"reason": "  "}, {"reason": "x" * 501}):
        problem_of(client.ask("POST", f"{COMPANY}/reject", json_body=body, token=STAFF), 422, "invalid")
    assert client.shop.reviews == []


def test_new_member_says_where_he_is_and_how_he_registers() -> None:
    body = {"email": "budi@example.com", "role": "buyer", "spending_limit": LIMIT}
    response = Client().ask("POST", f"{COMPANY}/members", json_body=body, token=BUYER)
    assert response.headers["location"] == COMPANY
    assert told(response)["invitation_token"] == "invitation"


@pytest.mark.parametrize(
    ("body", "role", "limit_minor", "keeps_limit"),
    [
        ({"role": "approver"}, "approver", None, True),
        ({"spending_limit": None}, None, None, False),
        ({"spending_limit": LIMIT}, None, 100, False),
        ({"role": "buyer", "spending_limit": LIMIT}, "buyer", 100, False),
        ({}, None, None, True),
    ],
)
def test_limit_is_kept_unless_the_change_names_it(
    body: dict[str, object], role: str | None, limit_minor: int | None, keeps_limit: bool
) -> None:
    client = Client()
    assert client.ask("PATCH", MEMBER, json_body=body, token=BUYER, headers=SEEN).status == 200
    (change,) = client.shop.changed_members
    assert (change.company_id, change.user_id, change.expected_version) == (COMPANY_ID, USER_IDS["buyer"], 3)
    assert (change.role, change.keeps_limit) == (role, keeps_limit)
    assert (change.spending_limit.amount if change.spending_limit else None) == limit_minor


def test_member_is_removed_by_the_ids_of_the_path() -> None:
    client = Client()
    assert client.ask("DELETE", MEMBER, token=BUYER).status == 204
    assert client.shop.asked[-1][0] == f"remove_member {COMPANY_ID} {USER_IDS['buyer']}"


def test_people_see_their_own_orders_and_staff_all() -> None:
    for token, method in ((CUSTOMER, "list_own_orders"), (BUYER, "list_own_orders"), (STAFF, "list_orders")):
        client = Client()
        client.ask("GET", "/api/orders", token=token)
        assert client.shop.asked[-1][0] == method


def test_approvers_decision_reaches_the_order_with_its_reason() -> None:
    client = Client()
    approved = client.ask("POST", f"/api/orders/{ORDER_ID}/approve", token=BUYER)
    assert (told(approved)["status"], approved.headers["etag"]) == ("pending", '"2"')
    refused = client.ask("POST", f"/api/orders/{ORDER_ID}/refuse", json_body={"reason": "too dear"}, token=BUYER)
    assert told(refused)["status"] == "rejected"
    assert client.shop.asked[-1][0] == f"refuse_order {ORDER_ID} too dear"
