"""A local system seen from outside: where one is running, and how one is started, stopped and killed.

`scripts/dev.sh` tells in `<state>/connection.json` where its system answers; this module reads it. A system has
two process groups, the runner's and that of the programs that it guards, so that all of it can be ended at once.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import httpx
from pydantic import BaseModel, Field, ValidationError

from wrangler.checkout import CHECKOUT
from wrangler.state import CONNECTION, PROCESS_GROUP, PROVIDERS_GROUP

ROOT = CHECKOUT.root
DEFAULT_STATE = CHECKOUT.made / "state"

# The first start in a fresh checkout installs everything.
_STARTED_WITHIN_SECONDS = 900
_STOPPED_WITHIN_SECONDS = 45
_ANSWERS_WITHIN_SECONDS = 5
_POLL_SECONDS = 0.1


class NotStarted(Exception):
    """The system did not come up; the message says why, as far as is known."""


class StillRunning(Exception):
    """A part of the system outlived its end."""


class Connection(BaseModel):
    """Where a running system answers, its staff's secret, how its admin signs in, the process that runs it, and where
    the payment providers' simulators answer, if it has them."""

    url: str
    staff_token: str = Field(repr=False)
    admin_email: str
    admin_password: str = Field(repr=False)
    pid: int
    providers_url: str | None = None


def read_connection(path: Path) -> Connection:
    """The connection as the runner wrote it; OSError or ValidationError where there is none."""
    return Connection.model_validate_json(path.read_bytes())


def find(state: Path) -> Connection | None:
    """The system that runs on this state directory and answers, or None."""
    try:
        connection = read_connection(state / CONNECTION)
        httpx.get(f"{connection.url}/health", timeout=_ANSWERS_WITHIN_SECONDS).raise_for_status()
    except (OSError, ValidationError, httpx.HTTPError):
        return None
    return connection


class LocalSystem:
    """A system of one's own on a state directory, which may be started again after its end."""

    def __init__(self, state: Path, options: Sequence[str] = (), log: Path | None = None) -> None:
        self._state = state.absolute()
        self._options = tuple(options)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """Where the running system answers; NotStarted before it does."""
        if self._connection is None:
            raise NotStarted("the system is not running")
        return self._connection

    def start(self) -> Connection:
        """Start and wait until all parts are well; NotStarted when the runner gives up or takes too long."""
        connection_file = self._state / CONNECTION
        connection_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "wrangler.dev", "--state", str(self._state), "--port", "0", "--no-reload"]
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(self._log.open("ab")) if self._log is not None else None
            self._process = subprocess.Popen(
                [*command, *self._options],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output is not None else None,
                start_new_session=True,
            )
        give_up = time.monotonic() + _STARTED_WITHIN_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                raise NotStarted(f"the runner ended with status {self._process.returncode}{self._log_tail()}")
            if connection_file.exists():
                self._connection = read_connection(connection_file)
                return self._connection
            time.sleep(_POLL_SECONDS)
        self.kill()
        raise NotStarted(f"the system was not ready within {_STARTED_WITHIN_SECONDS} seconds{self._log_tail()}")

    def stop(self) -> None:
        """End it as Ctrl-C does; StillRunning (after killing it) when anything is left over."""
        process = self._forget()
        if process is None:
            return
        groups = self._groups(process)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOPPED_WITHIN_SECONDS)
        left = process.poll() is None or any(_lives(group) for group in groups)
        _kill(groups)
        process.wait()
        if left:
            raise StillRunning(f"the system did not end within {_STOPPED_WITHIN_SECONDS} seconds of SIGTERM")

    def kill(self) -> None:
        """End all of its processes at once with SIGKILL, as a power cut would."""
        process = self._forget()
        if process is not None:
            _kill(self._groups(process))
            process.wait()

    def _forget(self) -> subprocess.Popen[bytes] | None:
        process, self._process, self._connection = self._process, None, None
        return process

    def _groups(self, runner: subprocess.Popen[bytes]) -> list[int]:
        """The guarded programs' groups, as far as there are any yet, and the runner's own."""
        groups = []
        for name in (PROCESS_GROUP, PROVIDERS_GROUP):
            with contextlib.suppress(FileNotFoundError, ValueError):
                groups.append(int((self._state / name).read_text()))
        return [*groups, runner.pid]

    def _log_tail(self) -> str:
        if self._log is None:
            return ""
        return f"; {self._log} ends with:\n{self._log.read_text(errors='replace')[-3000:]}"


@contextlib.contextmanager
def started(state: Path, options: Sequence[str] = (), log: Path | None = None) -> Iterator[LocalSystem]:
    """A system that runs for the length of the block, which SIGTERM leaves as Ctrl-C does (KeyboardInterrupt)."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    system = LocalSystem(state, options, log)
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        system.start()
        yield system
    finally:
        system.stop()
        signal.signal(signal.SIGTERM, before)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _kill(groups: Sequence[int]) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
