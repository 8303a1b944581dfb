"""A client and a server of one contract, wired to each other: both validate, refusals cross, faults are hidden."""

import logging
import operator
from datetime import timedelta

import pytest

from shared_kernel.errors import FAMILIES, Fault, Forbidden, Invalid, Unauthenticated, Unavailable
from shared_kernel.rpc import Call, Principal, object_serves
from tests.unit.shared_kernel.wire import TRACEPARENT, FixedGreeter, Greet, Greeter, Greeting, Wire, refusing, run


def test_a_call_is_answered_and_its_context_arrives() -> None:
    wire = Wire()
    assert wire.greet() == Greeting(text="hello Ana")
    (call,) = wire.calls
    assert (call.principal, call.traceparent) == (
        Principal(kind="guest", id="guest", credential="token"),
        TRACEPARENT,
    )
    assert wire.took_ms == [7]


def test_json_text_is_passed_on_as_it_is() -> None:
    wire = Wire()
    assert run(wire.client().greet_all(Greet(name="Ana"))) == '[{"text":"hello Ana","note":null}]'


def test_absent_values_do_not_cross_as_null() -> None:
    wire = Wire()
    wire.greet()
    _, call, request, _ = wire.sent[0]
    answer = run(wire.entrypoint.greet(call, request))
    assert answer == '+{"text":"hello Ana"}'


def test_a_method_that_the_contract_does_not_have_does_not_exist_on_either_side() -> None:
    wire = Wire()
    with pytest.raises(AttributeError, match="secret"):
        operator.attrgetter("secret")(wire.client())
    assert not hasattr(wire.entrypoint, "secret")


def test_the_server_refuses_a_request_that_is_not_valid_and_names_each_field() -> None:
    wire = Wire()
    wire.rewritten = '{"name":1,"more":2}'
    with pytest.raises(Invalid) as refusal:
        wire.greet()
    assert refusal.value.code == "invalid"
    errors = refusal.value.details["errors"]
    assert isinstance(errors, list)
    assert [(each["field"], each["code"]) for each in errors if isinstance(each, dict)] == [
        ("name", "string_type"),
        ("more", "extra_forbidden"),
    ]
    assert wire.breaker.state(0) == "closed"


@pytest.mark.parametrize("answer", ["", "hello", "+", "+1", '+{"text":1}', '+{"text":"a","more":1}', "-", "-{}"])
def test_the_client_refuses_an_answer_that_is_not_valid(answer: str) -> None:
    wire = Wire()
    wire.replaced = answer
    with pytest.raises(Fault) as refusal:
        wire.greet()
    assert type(refusal.value) is Fault


@pytest.mark.parametrize("call", ["", "{}", '{"principal": {"kind": "root", "id": "x"}}'])
def test_a_call_without_a_proper_context_is_a_fault(call: str) -> None:
    wire = Wire()
    assert run(wire.entrypoint.greet(call, '{"name":"Ana"}')).startswith('-{"family":"internal"')
    assert wire.calls == []


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_refusal_arrives_as_its_family_with_code_and_details(family: str) -> None:
    wire = Wire(refusing(FAMILIES[family]("no", code="my_code", details={"ids": ["a"]})))
    with pytest.raises(FAMILIES[family]) as refusal:
        wire.greet()
    assert type(refusal.value) is FAMILIES[family]
    assert (refusal.value.code, refusal.value.message, refusal.value.details) == ("my_code", "no", {"ids": ["a"]})


def test_an_unexpected_exception_is_logged_and_hidden(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(refusing(RuntimeError("the password is hunter2")))
    with caplog.at_level(logging.ERROR), pytest.raises(Fault) as refusal:
        wire.greet()
    assert (refusal.value.code, refusal.value.details) == ("internal_error", {})
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" in caplog.text


def test_the_transport_is_told_how_long_somebody_waits() -> None:
    wire = Wire()
    run(wire.client(deadline=timedelta(milliseconds=250)).greet(Greet(name="Ana")))
    assert wire.sent[0][3] == 250


def test_nothing_is_sent_after_the_deadline() -> None:
    wire = Wire()
    client = wire.client(deadline=timedelta(seconds=1))
    wire.now += timedelta(seconds=1)
    with pytest.raises(Unavailable) as refusal:
        run(client.greet(Greet(name="Ana")))
    assert (refusal.value.code, wire.sent) == ("deadline_exceeded", [])


def test_a_call_that_arrives_after_its_deadline_is_not_carried_out() -> None:
    wire = Wire()
    with pytest.raises(Unavailable) as refusal:
        run(wire.client(deadline=timedelta(milliseconds=7)).greet(Greet(name="Ana")))
    assert (refusal.value.code, wire.calls) == ("deadline_exceeded", [])


def test_a_call_without_an_answer_is_unavailable_and_its_time_is_told() -> None:
    wire = Wire()
    wire.is_cut = True
    with pytest.raises(Unavailable) as refusal:
        wire.greet()
    assert (refusal.value.code, wire.took_ms) == ("unavailable", [7])


def test_an_object_serves_with_its_own_state() -> None:
    class Guestbook:
        def __init__(self, owner: str) -> None:
            self.owner = owner

    def build(book: Guestbook, _call: Call) -> FixedGreeter:
        return FixedGreeter(lambda request: Greeting(text=f"{book.owner} greets {request.name}"))

    wire = Wire()
    wire.entrypoint = object_serves(Greeter, build, clock=wire.clock)(Guestbook)("Budi")
    assert wire.greet().text == "Budi greets Ana"


def test_a_permission_is_had_by_those_whom_the_table_gives_it() -> None:
    Principal(kind="staff", id="s").require("orders:manage")
    Principal(kind="admin", id="a").require("orders:manage")
    with pytest.raises(Unauthenticated):
        Principal(kind="guest", id="g").require("orders:manage")
    for kind in ("customer", "buyer", "service"):
        with pytest.raises(Forbidden):
            Principal(kind=kind, id="p").require("orders:manage")
