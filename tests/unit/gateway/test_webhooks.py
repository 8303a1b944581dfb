"""What payment providers send: passed on as it came, and its secrets kept out of the log."""

import logging
from typing import Any

import pytest

from gateway.services import BINDINGS, circuits
from shared_kernel.errors import Fault, NotFound, Unavailable
from tests.unit.gateway.client import Chunks, Client, problem_of, told
from tests.unit.gateway.shop import ORDER_TOKEN, PAYMENT_ID, WEBHOOK_ID, Shop

SIGNED = {"x-signature": "good"}
HOOK = "/api/webhooks/xendit"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{ "id":"evt_1",  "id":"twice"}\n'),
        ("application/x-www-form-urlencoded", b"a=1&b=%20"),
        ("text/plain", "na\u00efve \U0001f4b8".encode()),
        ("application/json", b"[1, NaN"),
        ("application/json", b""),
    ],
)
def test_body_is_passed_on_as_it_came_whatever_it_is(content_type: str, body: bytes) -> None:
    client = Client()
    headers = {**SIGNED, "content-type": content_type, "cf-connecting-ip": "196.201.214.200"}
    response = client.ask("POST", HOOK, body=body, headers=headers)
    assert (response.status, told(response)) == (200, {"id": WEBHOOK_ID, "status": "done"})
    (sent,) = client.shop.delivered
    assert (sent.provider, sent.body, sent.path_secret) == ("xendit", body.decode(), "")
    assert sent.address == "196.201.214.200"
    assert sent.headers["x-signature"] == "good"


def test_credentials_of_other_kinds_are_not_passed_on() -> None:
    client = Client()
    client.ask("POST", HOOK, body=b"{}", headers={**SIGNED, "cookie": "a=b"}, token="a-token")
    assert set(client.shop.delivered[0].headers) == {"x-signature", "content-type"}


def test_secret_of_the_path_reaches_the_service() -> None:
    client = Client()
    client.ask("POST", "/api/webhooks/mpesa/s%2Fcret", body=b"{}", headers=SIGNED)
    (sent,) = client.shop.delivered
    assert (sent.provider, sent.path_secret) == ("mpesa", "s/cret")


def test_fields_in_the_address_do_not_matter() -> None:
    assert Client().ask("POST", f"{HOOK}?source=live", body=b"{}", headers=SIGNED).status == 200


def test_webhook_that_is_not_verified_is_401() -> None:
    problem_of(Client().ask("POST", HOOK, body=b"{}"), 401, "webhook_not_verified")


def test_no_circuit_turns_back_what_may_be_told_once() -> None:
    assert set(BINDINGS.values()) - set(circuits()) == {"PAYMENT_WEBHOOKS"}


def test_webhook_whose_effect_has_to_wait_is_answered_so_that_it_is_sent_again() -> None:
    shop = Shop(failures={"receive": Unavailable("later", code="webhook_failed")})
    problem_of(Client(shop).ask("POST", HOOK, body=b"{}", headers=SIGNED), 503, "webhook_failed")


def test_body_of_more_than_a_megabyte_is_refused() -> None:
    body = Chunks([b"a" * 600_000] * 2)
    client = Client()
    problem_of(client.ask("POST", HOOK, body=body, headers=SIGNED), 413, "content_too_large")
    assert client.shop.delivered == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a\0b"])
def test_body_that_is_no_text_is_refused(body: bytes) -> None:
    client = Client()
    problem_of(client.ask("POST", HOOK, body=body, headers=SIGNED), 400, "malformed_text")
    assert client.shop.delivered == []


@pytest.mark.parametrize("failure", [Fault("broken"), Unavailable("down"), RuntimeError("boom")])
def test_secret_of_the_path_is_not_in_the_log_nor_in_the_answer(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = Client(Shop(failures={"receive": failure})).ask(
            "POST", "/api/webhooks/mpesa/the-secret", body=b"the body", headers=SIGNED
        )
    assert response.status >= 500
    assert caplog.records
    logged = [caplog.text, *(str(vars(record)) for record in caplog.records)]
    for text in (*logged, str(response.text)):
        assert "the-secret" not in text
        assert "the body" not in text
    assert told(response)["instance"] == "/api/webhooks/mpesa/***"


def test_refusal_to_run_a_webhook_says_for_which_path() -> None:
    path = f"/api/webhooks/{WEBHOOK_ID}/run"
    refused = Client(Shop(failures={f"run_webhook {WEBHOOK_ID}": NotFound("there is no such webhook")})).as_staff(
        "POST", path
    )
    assert (refused.status, told(refused)["instance"]) == (404, path)


def test_run_and_list_are_for_staff() -> None:
    client = Client()
    problem_of(client.ask("POST", f"/api/webhooks/{WEBHOOK_ID}/run"), 401, "unauthenticated")
    problem_of(client.ask("GET", "/api/webhooks"), 401, "unauthenticated")
    problem_of(client.ask("GET", "/api/ledger"), 401, "unauthenticated")
    client.as_staff("POST", f"/api/webhooks/{WEBHOOK_ID}/run")
    client.as_staff("GET", "/api/webhooks?status=failed")
    problem_of(client.as_staff("GET", "/api/webhooks?status=lost"), 422, "invalid")
    assert [method for method, _ in client.shop.asked] == [f"run_webhook {WEBHOOK_ID}", "list_webhooks status=failed"]


@pytest.mark.parametrize(("act", "outcome"), [("settle", "paid"), ("fail", "failed")])
def test_sandbox_is_paid_at_by_staff_and_by_the_owner_of_the_order(act: str, outcome: str) -> None:
    path = f"/api/sandbox/payments/{PAYMENT_ID}/{act}"
    callers: list[tuple[Any, int]] = [
        (None, 401),
        (ORDER_TOKEN.upper(), 404),
        (ORDER_TOKEN, 200),
        ("a-staff-token", 200),
    ]
    for token, status in callers:
        client = Client()
        assert client.ask("POST", path, token=token).status == status
        acts = [(method, who.kind) for method, who in client.shop.asked if method.startswith("settle")]
        assert acts == ([(f"settle_sandbox_payment {outcome}", "service")] if status == 200 else [])
