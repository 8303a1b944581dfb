"""A runner in a process of its own, on a checkout whose `node` is a program of the tests."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from tests.unit.wrangler.fake_checkout import lives, wait_until, write
from wrangler.checkout import Checkout
from wrangler.rendering import ROOT
from wrangler.running import Connection, read_connection

RUNNER = """\
import sys
from pathlib import Path
from wrangler import dev
from wrangler.checkout import Checkout

checkout = Checkout(Path(sys.argv[1]))
try:
    sys.exit(dev.run(dev.parse_options(sys.argv[2:]), checkout=checkout))
except dev.EXPECTED as error:
    sys.exit(f"pasar: {error}")
"""
PROVIDERS = """\
import json, pathlib, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

given = dict(zip(sys.argv[1::2], sys.argv[2::2]))

class Control(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        secrets = json.loads(pathlib.Path(given["--secrets"]).read_text())
        self.wfile.write(json.dumps({"notify": given["--notify"], "secrets": secrets}).encode())

HTTPServer(("127.0.0.1", int(given["--port"])), Control).serve_forever()
"""
DEADLINE_SECONDS = 30


class Run:
    """A runner in a process of its own."""

    def __init__(self, checkout: Checkout, state: Path, *options: str) -> None:
        self.state = state
        command = [sys.executable, "-c", RUNNER, str(checkout.root), "--state", str(state), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--no-sample", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def connection(self) -> Connection:
        """What the ready system announces."""
        path = self.state / "connection.json"
        wait_until(lambda: path.exists() or self.process.poll() is not None)
        return read_connection(path)

    def hears(self, text: str) -> str:
        """All that is said up to the next line with this text, which must come within the deadline."""
        said = ""
        assert self.process.stdout is not None
        timer = threading.Timer(DEADLINE_SECONDS, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                said += line
                if text in line:
                    return said
        finally:
            timer.cancel()
        raise AssertionError(f"the run ended without {text!r}:\n{said}")

    def lose_workers(self) -> None:
        """Kill all that runs in wrangler's place."""
        os.killpg(int((self.state / "process_group").read_text()), signal.SIGKILL)

    def ended(self) -> tuple[int, str]:
        """The exit status and all that was said since it was last heard."""
        said, _ = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, said


@contextlib.contextmanager
def runs(checkout: Checkout, state: Path) -> Iterator[Callable[..., Run]]:
    """Starts runs, on one state; what is left of them is killed."""
    begun: list[Run] = []

    def start(*options: str) -> Run:
        begun.append(Run(checkout, state, *options))
        return begun[-1]

    try:
        yield start
    finally:
        for run in begun:
            run.process.kill()
            run.process.communicate()


def answers(url: str) -> bool:
    """Whether anything answers there."""
    try:
        httpx.get(url)
    except httpx.HTTPError:
        return False
    return True


def write_providers(checkout: Checkout) -> None:
    """Put simulators into the checkout that answer `/control` with the secrets they were given."""
    write(checkout.root / "tests" / "__init__.py", "")
    write(checkout.root / "tests" / "providers" / "__init__.py", "")
    write(checkout.root / "tests" / "providers" / "__main__.py", PROVIDERS)


def kind(call: str) -> str:
    """What one start of `node` was for."""
    return next(word for word in ("migrations", "d1 execute", "dev") if word in call)


def workers_live(checkout: Checkout) -> bool:
    """Whether the program in wrangler's place, or what it started, still runs."""
    return any(lives(int(pid)) for pid in (checkout.root / "processes").read_text().split())
