"""A local run from its start to its end, with a program in wrangler's place."""

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.unit.wrangler.fake_checkout import calls, wait_until, write
from tests.unit.wrangler.local_run import Run, answers, kind, workers_live, write_providers
from wrangler.checkout import Checkout
from wrangler.dev import DEFAULT_PORT, free_port, parse_options
from wrangler.guarded import RunFailed
from wrangler.rendering import ROOT
from wrangler.state import dotenv


def payment_vars(run: Run) -> dict[str, str]:
    """The plain variables of the payment Worker in this run."""
    configuration = json.loads((run.state / "config" / "payment" / "wrangler.jsonc").read_text())
    variables: dict[str, str] = configuration["vars"]
    return variables


def test_a_ready_system_answers_where_it_says(start: Callable[..., Run]) -> None:
    run = start()
    connection = run.connection()
    assert connection.pid == run.process.pid
    assert len(connection.staff_token) >= 40
    assert httpx.get(f"{connection.url}/health").json() == {"status": "ok"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_and_leaves_nothing_behind(
    start: Callable[..., Run], checkout: Checkout, number: signal.Signals
) -> None:
    run = start()
    url = run.connection().url
    run.process.send_signal(number)
    status, said = run.ended()
    assert status == 0
    assert f"Pasar is ready at {url}" in said
    assert f"{url}/docs" in said
    assert not workers_live(checkout)
    assert not (run.state / "connection.json").exists()


def test_a_killed_runner_takes_its_workers_along_and_the_state_is_free_again(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    first = start()
    token = first.connection().staff_token
    first.process.kill()
    first.ended()
    (first.state / "connection.json").unlink()
    wait_until(lambda: not workers_live(checkout))
    assert start().connection().staff_token == token


def test_a_second_run_on_the_same_state_is_refused_in_one_sentence(start: Callable[..., Run]) -> None:
    first = start()
    first.connection()
    status, said = start().ended()
    assert status == 1
    held_by = f"another run (process {first.process.pid}) uses {first.state}"
    assert said == f"pasar: {held_by}: stop it, or name another directory with --state\n"
    assert (first.state / "connection.json").exists()


def test_workers_that_do_not_start_end_the_run_with_what_they_said(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    start().connection()
    (checkout.root / "fail").write_text("SyntaxError: invalid syntax")
    run = start("--state", str(checkout.root / "other"))
    status, said = run.ended()
    assert status == 1
    assert "SyntaxError: invalid syntax" in said
    assert "Traceback" not in said


def test_workers_that_end_by_themselves_end_a_run_that_does_not_reload(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    run = start("--no-reload")
    run.connection()
    run.lose_workers()
    status, said = run.ended()
    assert status == 1
    assert "the Workers ended by themselves" in said
    assert not workers_live(checkout)
    assert not (run.state / "connection.json").exists()


def test_a_second_start_does_not_apply_migrations_again(start: Callable[..., Run], checkout: Checkout) -> None:
    for _ in range(2):
        run = start()
        run.connection()
        run.process.terminate()
        run.ended()
    assert [kind(call) for call in calls(checkout)] == ["migrations", "d1 execute", "dev", "dev"]


def test_fresh_forgets_what_the_state_held(start: Callable[..., Run]) -> None:
    run = start()
    token = run.connection().staff_token
    run.process.terminate()
    run.ended()
    assert start("--fresh").connection().staff_token != token


def test_fresh_forgets_nothing_when_the_port_is_busy(start: Callable[..., Run]) -> None:
    run = start()
    token = run.connection().staff_token
    run.process.terminate()
    run.ended()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        status, said = start("--fresh", "--port", str(busy.getsockname()[1])).ended()
    assert status == 1
    assert "choose another with --port" in said
    assert start().connection().staff_token == token


def test_all_workers_run_in_one_wrangler_with_the_gateway_first(start: Callable[..., Run], checkout: Checkout) -> None:
    start().connection()
    served = calls(checkout)[-1].split()
    configurations = [served[index + 1] for index, word in enumerate(served) if word == "-c"]
    assert [Path(path).parent.name for path in configurations] == [
        "gateway",
        "product",
        "inventory",
        "payment",
        "user",
        "order",
    ]


def test_the_admin_of_a_state_is_made_once_and_announced(start: Callable[..., Run], checkout: Checkout) -> None:
    first = start()
    connection = first.connection()
    assert connection.admin_email == "admin@pasar.example"
    assert len(connection.admin_password) >= 20
    first.process.terminate()
    _, said = first.ended()
    assert f"{connection.admin_email}, password {connection.admin_password}" in said
    assert (first.state / "admin.json").stat().st_mode & 0o777 == 0o600
    again = start().connection()
    assert (again.admin_email, again.admin_password) == (connection.admin_email, connection.admin_password)
    assert [kind(call) for call in calls(checkout)].count("d1 execute") == 1


def test_an_admin_that_cannot_be_made_ends_the_run_in_one_sentence(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    (checkout.root / "services" / "user" / "first_admin.sql").unlink()
    status, said = start().ended()
    assert status == 1
    assert "first_admin.sql" in said
    assert "Traceback" not in said


def test_a_worker_is_left_out_and_the_others_are_ready_all_the_same(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    (checkout.root / "health").write_text(
        '{"status": "degraded", "services": {"order": {"status": "ok"}, "product": {"status": "unavailable"}}}'
    )
    run = start("--without", "product")
    assert run.connection().url
    served = calls(checkout)[-1].split()
    started = [Path(served[index + 1]).parent.name for index, word in enumerate(served) if word == "-c"]
    assert started == ["gateway", "inventory", "payment", "user", "order"]


@pytest.mark.parametrize(
    ("worker", "complaint"),
    [("gateway", "without gateway nothing would answer"), ("shipping", "there is no Worker called 'shipping'")],
)
def test_a_worker_that_cannot_be_left_out_is_refused(start: Callable[..., Run], worker: str, complaint: str) -> None:
    assert start("--without", worker).ended() == (1, f"pasar: {complaint}\n")


def test_providers_answer_with_the_secrets_of_the_payment_worker_and_end_with_the_run(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    write_providers(checkout)
    run = start()
    connection = run.connection()
    providers_url = connection.providers_url
    told = httpx.get(f"{providers_url}/control").json()
    assert told["notify"] == connection.url
    assert dotenv(told["secrets"]) == (run.state / "config" / "payment" / ".dev.vars").read_text() != ""
    variables = payment_vars(run)
    assert (variables["PUBLIC_URL"], variables["XENDIT_URL"]) == (connection.url, f"{providers_url}/xendit")
    run.process.kill()
    run.ended()
    wait_until(lambda: not answers(f"{providers_url}/control"))


def test_without_providers_payment_has_no_secrets_and_nothing_listens(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    write_providers(checkout)
    run = start("--no-providers", "--set", "payment.PUBLIC_URL=https://shop.example")
    assert run.connection().providers_url is None
    assert (run.state / "config" / "payment" / ".dev.vars").read_text() == ""
    variables = payment_vars(run)
    assert (variables["PUBLIC_URL"], variables["XENDIT_URL"]) == ("https://shop.example", "")


def test_a_checkout_without_tests_runs_without_providers(start: Callable[..., Run]) -> None:
    assert start().connection().providers_url is None


def test_providers_that_do_not_start_end_the_run_with_what_they_said(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    write_providers(checkout)
    write(checkout.root / "tests" / "providers" / "__main__.py", "raise SystemExit('no books today')")
    status, said = start().ended()
    assert status == 1
    assert "no books today" in said
    assert "Traceback" not in said


def test_a_busy_port_is_refused_in_one_sentence() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(RunFailed, match=f"port {port} cannot be used .*: choose another with --port"):
            free_port(port)


def test_port_zero_is_any_free_port() -> None:
    assert free_port(0) > 0


def test_options_have_the_defaults_that_people_expect() -> None:
    options = parse_options([])
    assert (options.port, options.fresh, options.sample, options.reload) == (DEFAULT_PORT, False, True, True)
    assert options.providers
    assert options.state == ROOT / ".pasar" / "state"


@pytest.mark.parametrize("arguments", [["--port", "65536"], ["--port", "-1"], ["--port", "http"], ["--fast"]])
def test_an_option_that_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments)
    assert ended.value.code == 2
