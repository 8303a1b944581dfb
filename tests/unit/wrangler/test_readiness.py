"""When a starting system counts as ready, and what a run says that never gets there."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wrangler.checkout import CHECKOUT
from wrangler.guarded import RunFailed
from wrangler.local_crons import fire
from wrangler.readiness import RELOAD_BEGINS, RELOAD_ENDS, is_reloading, wait_until_ready, what_went_wrong
from wrangler.topology import PASAR
from wrangler.topology_model import EVERY_MINUTE

WELL = b'{"status": "ok"}'
DEGRADED = b'{"status": "degraded", "services": {"order": {"status": "unavailable"}}}'
TRACEBACK = (
    '  {"level":"error","message":"service core:user:order: Uncaught Error: PythonError: Traceback (most recent call '
    "last):\\n  File \\\"/session/metadata/entry.py\\\", line 7\\nModuleNotFoundError: No module named 'stock'\\n\\n"
    '  at pyodide:python-entrypoint-helper:100:17 in handleSrcImport"}'
)
CRON_WORKERS = [worker.name for worker in PASAR.workers for _ in worker.crons]
SLEEP = "import time; time.sleep(600)"
Program = Callable[[str], "subprocess.Popen[bytes]"]
RED, PLAIN = "\x1b[31m", "\x1b[0m"


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives the server's answer to everything, and keeps what was asked."""

    server: "Service"

    def do_GET(self) -> None:
        """Answer one request."""
        self.server.asked.append((self.path, self.headers["MF-Route-Override"]))
        status, body = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Service(http.server.HTTPServer):
    """What stands in the place of the Workers."""

    answer = (200, WELL)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that answers."""
    with Service() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def program() -> Iterator[Program]:
    """Starts programs, which are ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([sys.executable, "-c", code]))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """wrangler's log."""
    path = tmp_path / "wrangler.log"
    path.write_text("Starting local server...\n")
    return path


def test_a_system_whose_workers_are_all_well_is_ready(service: Service, program: Program, log: Path) -> None:
    wait_until_ready(service.url, program(SLEEP), log, within_seconds=30)
    assert service.asked == [("/health", None)]


def test_a_system_that_stays_degraded_is_given_up_with_its_last_answer(
    service: Service, program: Program, log: Path
) -> None:
    service.answer = (503, DEGRADED)
    with pytest.raises(RunFailed, match=r'was not well after .*\n?.*503 .*"order"'):
        wait_until_ready(service.url, program(SLEEP), log, within_seconds=0.3)


def test_a_worker_that_is_left_out_need_not_be_well(service: Service, program: Program, log: Path) -> None:
    service.answer = (503, DEGRADED)
    wait_until_ready(service.url, program(SLEEP), log, within_seconds=30, without={"order"})
    with pytest.raises(RunFailed, match="was not well"):
        wait_until_ready(service.url, program(SLEEP), log, within_seconds=0.3, without={"product"})


@pytest.mark.parametrize("body", [b"Worker threw", b'{"status": "degraded", "services": {}}'])
def test_an_answer_of_no_worker_is_not_ready_either(service: Service, program: Program, log: Path, body: bytes) -> None:
    service.answer = (503, body)
    with pytest.raises(RunFailed, match="was not well"):
        wait_until_ready(service.url, program(SLEEP), log, within_seconds=0.3, without={"order"})


def test_an_answer_that_is_not_well_does_not_count_as_ready(service: Service, program: Program, log: Path) -> None:
    service.answer = (200, DEGRADED)
    with pytest.raises(RunFailed, match="was not well"):
        wait_until_ready(service.url, program(SLEEP), log, within_seconds=0.3)


def test_wrangler_that_ended_is_not_waited_for(service: Service, program: Program, log: Path) -> None:
    ended = program("raise SystemExit(1)")
    ended.wait()
    with pytest.raises(RunFailed, match="wrangler ended with status 1"):
        wait_until_ready(service.url, ended, log)


def test_a_reported_error_shortens_the_wait(service: Service, program: Program, log: Path) -> None:
    service.answer = (503, DEGRADED)
    log.write_text(f"one\n{RED}[ERROR]{PLAIN} No such file\n")
    with pytest.raises(RunFailed, match=r"\[ERROR\] No such file"):
        wait_until_ready(service.url, program(SLEEP), log, grace_seconds=0.1)


def test_the_traceback_of_a_worker_is_what_went_wrong(log: Path) -> None:
    log.write_text(f"one\n{RED}[ERROR]{PLAIN} failed to start\n{TRACEBACK}\nmore\n")
    assert what_went_wrong(log).splitlines() == [
        "service core:user:order: Uncaught Error: PythonError: Traceback (most recent call last):",
        '  File "/session/metadata/entry.py", line 7',
        "ModuleNotFoundError: No module named 'stock'",
        f"(the whole log is {log})",
    ]


def test_without_an_error_the_end_of_the_log_is_what_went_wrong(log: Path) -> None:
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    told = what_went_wrong(log).splitlines()
    assert told[-2:] == ["line 99", f"(the whole log is {log})"]
    assert "line 0" not in told


def test_what_went_wrong_before_the_last_reload_is_not_what_went_wrong(log: Path) -> None:
    earlier = '{"level": "error", "message": "POST /api/orders failed", "exception": "Traceback (most ..."}'
    said = f"{RED}[ERROR]{PLAIN} earlier\n{RELOAD_BEGINS}\n{RELOAD_ENDS}\n{earlier}\n{RELOAD_BEGINS}\n"
    log.write_text(f"{said}{TRACEBACK}\n{RELOAD_BEGINS}\n")
    assert what_went_wrong(log).splitlines()[2] == "ModuleNotFoundError: No module named 'stock'"
    log.write_text(f"{said}{RED}[ERROR]{PLAIN} last\n")
    assert what_went_wrong(log).splitlines()[0] == "[ERROR] last"


def test_a_reload_lasts_until_wrangler_says_that_it_is_over(log: Path) -> None:
    told = [is_reloading(log)]
    for line in (RELOAD_BEGINS, "a table\n" * 10_000, RELOAD_ENDS, "GET /", RELOAD_BEGINS):
        with log.open("a") as file:
            print(line, file=file)
        told.append(is_reloading(log))
    assert told == [False, True, True, False, False, True]


@pytest.mark.parametrize("text", [RELOAD_BEGINS, RELOAD_ENDS])
def test_the_installed_wrangler_says_so(text: str) -> None:
    program = (CHECKOUT.node_modules / "wrangler" / "wrangler-dist" / "cli.js").read_text()
    assert text in program


def test_every_cron_is_fired_at_its_own_worker(service: Service) -> None:
    service.answer = (200, b"ok")
    assert fire(PASAR, service.url) == []
    fired = [(f"/cdn-cgi/local/scheduled?cron={EVERY_MINUTE.replace(' ', '+')}", worker) for worker in CRON_WORKERS]
    assert [(path.replace("%2A", "*").replace("%20", "+"), worker) for path, worker in service.asked] == fired


def test_a_cron_that_fails_is_told_and_the_others_are_fired_all_the_same(service: Service) -> None:
    service.answer = (500, b"exception\n")
    assert fire(PASAR, service.url) == [f"the cron of {name} ended with 'exception'" for name in CRON_WORKERS]


def test_a_cron_without_an_answer_is_told(service: Service) -> None:
    url = service.url
    service.server_close()
    complaints = fire(PASAR, url)
    assert len(complaints) == len(CRON_WORKERS)
    assert all("got no answer" in complaint for complaint in complaints)
