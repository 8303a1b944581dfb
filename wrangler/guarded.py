"""A program under guard: how the runner starts, asks to end and ends a program that starts others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from wrangler.state import PROCESS_GROUP, State

_GUARD = Path(__file__).with_name("guard.py")
_GRACE_SECONDS = 10
# The guard itself takes at most its grace and then ten seconds to kill.
_END_SECONDS = _GRACE_SECONDS + 15


class RunFailed(Exception):
    """The run cannot go on; the message is for the person who started it."""


@contextlib.contextmanager
def guarded(
    command: list[str], environment: Mapping[str, str], log: Path, state: State, group: str = PROCESS_GROUP
) -> Iterator[subprocess.Popen[bytes]]:
    """The guard of a running program, which has ended with all it started when the block is left.

    Its output goes to `log`, the number of its process group to the file `group` of the state. The guard keeps the
    state's lock, so no other run begins before everything is gone.
    """
    group_file = state.folder / group
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", str(_GUARD), str(group_file), str(_GRACE_SECONDS), *command],
            env=dict(environment),
            cwd=state.folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[state.lock],
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process, group_file)


def run_guarded(command: list[str], environment: Mapping[str, str], log: Path, state: State, *, seconds: int) -> int:
    """Run a program to its end and give its exit status; RunFailed when it takes longer than `seconds`."""
    with guarded(command, environment, log, state) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{command[0]} did not end within {seconds} seconds; its output is in {log}") from None


def _end(process: subprocess.Popen[bytes], group_file: Path) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(b"end\n")
        process.stdin.flush()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    # A guard that was killed itself has left its program behind.
    if process.returncode < 0:
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            os.killpg(int(group_file.read_text()), signal.SIGKILL)
