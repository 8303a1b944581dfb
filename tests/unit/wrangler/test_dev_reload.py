"""A local run whose Workers end: what it says, and when it starts them again."""

import signal
import time
from collections.abc import Callable

import httpx
import pytest

from tests.unit.wrangler.fake_checkout import calls, write
from tests.unit.wrangler.local_run import Run, answers, kind, workers_live, write_providers
from wrangler.checkout import Checkout
from wrangler.readiness import RELOAD_BEGINS

WAITS = "at the next change of a source file"
# The first edit may still meet a look that had begun before the reload did.
TRIES = 5


def edit(checkout: Checkout, text: str) -> None:
    """Save a source of the order Worker."""
    write(checkout.root / "services" / "order" / "src" / "entry.py", f"# {text}")


def is_held_back(run: Run, checkout: Checkout, text: str) -> bool:
    """Whether the run, which looks every second, leaves this edit to the next start."""
    edit(checkout, text)
    time.sleep(2.5)
    return text not in (run.state / "config" / "order" / "src" / "entry.py").read_text()


def test_workers_that_ended_start_again_where_they_were_at_the_next_change(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    run = start()
    connection = run.connection()
    run.lose_workers()
    assert "the Workers ended by themselves" in run.hears(WAITS)
    assert not workers_live(checkout)
    edit(checkout, "edited")
    run.hears("ready again")
    assert httpx.get(f"{connection.url}/health").json() == {"status": "ok"}
    assert run.connection() == connection
    before, again = (call for call in calls(checkout) if kind(call) == "dev")
    assert before == again


def test_workers_that_cannot_start_again_are_tried_once_for_each_change(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    run = start()
    run.connection()
    run.lose_workers()
    run.hears(WAITS)
    for mistake in ("invalid syntax", "no module named stock"):
        (checkout.root / "fail").write_text(mistake)
        edit(checkout, mistake)
        assert mistake in run.hears(WAITS)
    (checkout.root / "fail").unlink()
    edit(checkout, "mended")
    run.hears("ready again")
    assert [kind(call) for call in calls(checkout)].count("dev") == 4


def test_a_change_during_a_reload_that_fails_starts_the_workers_again(
    start: Callable[..., Run], checkout: Checkout
) -> None:
    run = start()
    run.connection()
    with (run.state / "wrangler.log").open("a") as log:
        print(RELOAD_BEGINS, file=log)
    assert any(is_held_back(run, checkout, f"mended {number}") for number in range(TRIES))
    run.lose_workers()
    run.hears(WAITS)
    run.hears("ready again")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_waits_for_a_change_ends_at_a_signal(
    start: Callable[..., Run], checkout: Checkout, number: signal.Signals
) -> None:
    write_providers(checkout)
    run = start()
    providers_url = run.connection().providers_url
    run.lose_workers()
    run.hears(WAITS)
    assert answers(f"{providers_url}/control")
    run.process.send_signal(number)
    assert run.ended() == (0, "pasar: stopped\n")
    assert not answers(f"{providers_url}/control")
    assert not (run.state / "connection.json").exists()
