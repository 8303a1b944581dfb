"""Who is counted how, what a refusal and every other answer tell of the limit, and that nothing refused is done."""

import asyncio
import dataclasses
import logging
from datetime import datetime

import pytest

from gateway.limits import MOST_COUNTS, Limits, Quota, address_key
from gateway.routing import Limit
from shared_kernel.clock import from_milliseconds
from tests.unit.gateway.client import SETTINGS, Chunks, Client, problem_of
from tests.unit.gateway.edge import FakeLimiter
from tests.unit.gateway.shop import NEW_PRODUCT, ORDER_ID, ORDER_REQUEST, ORDER_TOKEN, PRODUCT_ID
from tests.unit.gateway.signing import USER_IDS, access_token

PRODUCT = f"/api/products/{PRODUCT_ID}"
QUOTAS: dict[Limit, Quota] = {
    "read": Quota(3, 60),
    "write": Quota(2, 10),
    "sign_in": Quota(1, 60),
    "checkout": Quota(1, 60),
}
LIMITED = dataclasses.replace(SETTINGS, quotas=QUOTAS)
HOME, OTHER = {"cf-connecting-ip": "192.0.2.7"}, {"cf-connecting-ip": "192.0.2.8"}
CUSTOMER = access_token("customer", 60_023)
SIGN_IN = {"email": "sari@example.com", "password": "correct horse"}


def limited(**changes: int) -> Client:
    """A client of a gateway with small limits, at 23 s past the minute."""
    limits: dict[str, int] = {name: quota.requests for name, quota in QUOTAS.items()} | changes
    return Client(settings=LIMITED, limiter=FakeLimiter(limits), clock=lambda: from_milliseconds(60_023_000))


def test_answer_tells_the_policy_and_what_is_left_of_it() -> None:
    client = limited()
    told = [client.ask("GET", PRODUCT, headers=HOME).headers for _ in range(3)]
    assert {headers["ratelimit-policy"] for headers in told} == {'"read";q=3;w=60'}
    assert [headers["ratelimit"] for headers in told] == ['"read";r=2;t=37', '"read";r=1;t=37', '"read";r=0;t=37']


def test_one_too_many_is_429_and_asks_no_service() -> None:
    client = limited()
    for _ in range(3):
        assert client.ask("GET", PRODUCT, headers=HOME).status == 200
    asked = len(client.shop.asked)
    response = client.ask("GET", PRODUCT, headers=HOME)
    problem = problem_of(response, 429, "too_many_requests")
    assert (problem["limit"], problem["retry_after_seconds"]) == ("read", 37)
    assert response.headers["retry-after"] == "37"
    assert response.headers["ratelimit"] == '"read";r=0;t=37'
    assert len(client.shop.asked) == asked


def test_a_new_window_begins_with_the_whole_quota() -> None:
    now = from_milliseconds(60_059_000)
    client = dataclasses.replace(limited(), clock=lambda: now)
    assert client.ask("GET", PRODUCT, headers=HOME).headers["ratelimit"] == '"read";r=2;t=1'
    now = from_milliseconds(60_060_000)
    assert client.ask("GET", PRODUCT, headers=HOME).headers["ratelimit"] == '"read";r=2;t=60'


def test_what_other_isolates_have_counted_leaves_nothing() -> None:
    client = limited(read=1)
    client.ask("GET", PRODUCT, headers=HOME)
    assert client.ask("GET", PRODUCT, headers=HOME).headers["ratelimit"] == '"read";r=0;t=37'


def test_guests_are_counted_by_address_and_people_by_account() -> None:
    client = limited()
    client.ask("GET", PRODUCT, headers=HOME)
    client.ask("GET", f"/api/orders/{ORDER_ID}", token=ORDER_TOKEN, headers=HOME)
    client.ask("GET", "/api/products", token=CUSTOMER, headers=HOME)
    client.ask("GET", "/api/products", token=CUSTOMER, headers=OTHER)
    client.as_staff("GET", "/api/warehouses", headers=HOME)
    assert client.limiter.counts == {
        ("read", "address:192.0.2.7"): 2,
        ("read", f"account:{USER_IDS['customer']}"): 2,
        ("read", "account:staff"): 1,
    }


def test_one_caller_uses_up_nothing_of_anothers() -> None:
    client = limited()
    for _ in range(5):
        client.ask("GET", PRODUCT, headers=HOME)
    assert client.ask("GET", PRODUCT, headers=OTHER).status == 200
    assert client.ask("GET", PRODUCT, token=CUSTOMER, headers=HOME).status == 200


@pytest.mark.parametrize("target", ["/health", "/docs", "/openapi.json", "/docs/swagger-ui.css"])
def test_public_routes_are_counted_by_address_whatever_the_token(target: str) -> None:
    client = limited()
    client.ask("GET", target, token=CUSTOMER, headers=HOME)
    assert client.limiter.counts == {("read", "address:192.0.2.7"): 1}


def test_no_header_of_the_clients_own_gives_it_another_address() -> None:
    client = Client(settings=LIMITED)
    for header in ("x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"):
        client.ask("GET", "/api/categories", headers={"cf-connecting-ip": "203.0.113.1", header: "198.51.100.7"})
    assert list(client.limiter.counts) == [("read", "address:203.0.113.1")]


def test_sign_in_is_counted_before_its_body_is_read() -> None:
    client = limited()
    assert client.ask("POST", "/api/auth/login", json_body=SIGN_IN, headers=HOME).status == 200
    body = Chunks([b"{"] * 3)
    response = client.ask("POST", "/api/auth/login", body=body, headers=HOME)
    problem_of(response, 429, "too_many_requests")
    assert body.kept == 0
    assert [method for method, _ in client.shop.asked].count("sign_in") == 1


def test_checkout_and_changes_have_limits_of_their_own() -> None:
    client = limited()
    ordered = [
        client.ask("POST", "/api/orders", json_body=ORDER_REQUEST, headers=HOME | {"idempotency-key": f"k-{number}"})
        for number in range(2)
    ]
    assert [response.status for response in ordered] == [202, 429]
    assert list(client.shop.placed) == ["k-0"]
    assert ordered[1].headers["ratelimit-policy"] == '"checkout";q=1;w=60'
    created = [client.as_staff("POST", "/api/products", json_body=NEW_PRODUCT) for _ in range(3)]
    assert [response.status for response in created] == [201, 201, 429]
    assert client.ask("GET", PRODUCT, headers=HOME).status == 200


@pytest.mark.parametrize(
    ("method", "target", "token", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("PUT", "/api/products", None, 405),
        ("GET", "/api/products?q=%ff", None, 400),
        ("GET", "/api/warehouses", None, 401),
        ("GET", "/api/products", "a.b.c", 401),
        ("GET", "/api/products?limit=0", None, 422),
    ],
)
def test_what_is_refused_is_counted_by_address_too(method: str, target: str, token: str | None, status: int) -> None:
    client = limited()
    limit = 3 if method == "GET" else 2
    answered = [client.ask(method, target, token=token, headers=HOME).status for _ in range(limit + 1)]
    assert answered == [status] * limit + [429]


def test_preflights_are_not_counted() -> None:
    client = limited()
    for _ in range(10):
        assert client.ask("OPTIONS", PRODUCT, headers=HOME).status == 204
    assert not client.limiter.counts


def test_limiter_that_is_broken_lets_pass_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    client = limited()
    client.limiter.is_broken = True
    with caplog.at_level(logging.ERROR):
        answered = [client.ask("GET", PRODUCT, headers=HOME).status for _ in range(5)]
    assert answered == [200] * 5
    assert caplog.text.count("the limit cannot be asked") == 5
    assert "192.0.2.7" not in caplog.text


def test_class_without_a_quota_is_not_limited() -> None:
    response = Client().ask("GET", PRODUCT, headers=HOME)
    assert response.status == 200
    assert "ratelimit" not in response.headers


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "address:2001:db8:1:3::/64"),
        ("", "address:unknown"),
        ("192.0.2.7, 10.0.0.1", "address:unknown"),
    ],
)
def test_address_is_counted_as_one_line_has_it(address: str, key: str) -> None:
    assert address_key(address) == key


@pytest.mark.parametrize("text", ["", "100", "100;30", "0;60", "-1;60", "1.5;60", "100;60;", "a;60"])
def test_quota_that_the_binding_cannot_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quota"):
        Quota.of(text)
    assert Quota.of("100;10") == Quota(100, 10)


async def _count_many(limits: Limits) -> int:
    quota = Quota(100, 60)
    for number in range(MOST_COUNTS + 1):
        await limits.count("read", f"address:{number}", quota)
    return (await limits.count("read", "address:0", quota)).remaining


def test_the_oldest_of_too_many_callers_is_forgotten() -> None:
    def clock() -> datetime:
        return from_milliseconds(0)

    assert asyncio.run(_count_many(Limits(FakeLimiter().allows, clock))) == 99
