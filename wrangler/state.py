"""The state directory of a local run: who holds it, its secrets, and what it tells others.

Everything that a run writes stands in it, and it is kept between runs. One run holds it at a time, by a lock that ends
with its processes, however they end.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from wrangler.topology_model import Topology

LOCK = "lock"
SECRETS = "secrets.json"
CONNECTION = "connection.json"
RUNTIME = "runtime.json"
PROCESS_GROUP = "process_group"
PROVIDERS_GROUP = "providers_process_group"
LOG = "wrangler.log"

_SECRET_BYTES = 32
# How long the processes of a run that was killed may take to be gone.
_LEFT_OVER_SECONDS = 10


class StateRefused(Exception):
    """The directory cannot be used for a run; the message is for the person who named it."""


class State:
    """A state directory that this process holds; `lock` keeps it for any process that inherits it."""

    def __init__(self, folder: Path, lock: int, ours: bool) -> None:
        self.folder = folder
        self.lock = lock
        self._ours = ours

    def empty(self) -> None:
        """Remove all that former runs left; StateRefused where no run ever was, which may be anybody's files."""
        if not self._ours:
            raise StateRefused(f"{self.folder} was never the state of a run, so --fresh does not empty it")
        for entry in self.folder.iterdir():
            if entry.name == LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def secrets(self, topology: Topology) -> dict[str, dict[str, str]]:
        """A random value for every secret of every Worker, be it optional or not.

        Once made it stays, so that a restart locks nobody out.
        """
        path = self.folder / SECRETS
        known: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
        made = {
            worker.name: {
                name: known.get(worker.name, {}).get(name) or secrets.token_urlsafe(_SECRET_BYTES)
                for name in (*worker.required_secrets("local"), *worker.optional_secrets)
            }
            for worker in topology.workers
            if worker.required_secrets("local") or worker.optional_secrets
        }
        if made != known:
            write_private(path, json.dumps(made, indent=2))
        return made

    def announce(self, connection: Mapping[str, str | None]) -> None:
        """Tell scripts and tests where the system answers, now that it does, and with which secrets."""
        write_private(self.folder / CONNECTION, json.dumps({**connection, "pid": os.getpid()}))

    def withdraw(self) -> None:
        """Take back what was announced."""
        for name in (CONNECTION, RUNTIME, PROCESS_GROUP, PROVIDERS_GROUP):
            (self.folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[State]:
    """The state directory, made where it is missing; raises StateRefused when another run holds it."""
    if folder.exists() and not folder.is_dir():
        raise StateRefused(f"{folder} is not a directory")
    ours = (folder / LOCK).exists()
    folder.mkdir(parents=True, exist_ok=True)
    ours = ours or not any(folder.iterdir())
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(lock, folder)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        state = State(folder, lock, ours)
        state.withdraw()
        try:
            yield state
        finally:
            state.withdraw()
    finally:
        os.close(lock)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def dotenv(values: Mapping[str, str]) -> str:
    """The values in the syntax of `.dev.vars`."""
    return "".join(f"{name}={json.dumps(value)}\n" for name, value in values.items())


def _lock(lock: int, folder: Path) -> None:
    give_up = time.monotonic() + _LEFT_OVER_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode()
            # A run that was killed holds the lock until its processes are gone, which takes a moment.
            if _lives(holder) or time.monotonic() > give_up:
                raise StateRefused(
                    f"another run (process {holder}) uses {folder}: stop it, or name another directory with --state"
                ) from None
            time.sleep(0.1)
        else:
            return


def _lives(pid: str) -> bool:
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
