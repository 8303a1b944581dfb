"""The guard of a program that starts others (wrangler: workerd, esbuild): nothing of it outlives its owner.

The owner starts `guard.py GROUP_FILE GRACE_SECONDS COMMAND...` and holds its standard input. A line there asks the
program to end within the grace; the end of the input, which comes however the owner dies, kills it at once. The program
leads a process group of its own, whose number stands in GROUP_FILE; the guard is outside of it, and ends when the group
is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 10
_POLL_SECONDS = 0.05


def guard(command: list[str], group_file: Path, grace_seconds: float) -> int:
    """Run `command` to its end, or to the owner's wish or death; its exit status, as a shell would say it."""
    _adopt_orphans()
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        group_file.write_text(str(program.pid))
        _watch(program, grace_seconds)
    finally:
        _end_group(program)
    return program.returncode if program.returncode >= 0 else 128 - program.returncode


def _adopt_orphans() -> None:
    # Where no init reaps what the program leaves, a dead process would count as one of its group for ever.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _watch(program: subprocess.Popen[bytes], grace_seconds: float) -> None:
    kill_at: float | None = None
    while program.poll() is None:
        if kill_at is not None and time.monotonic() > kill_at:
            return
        readable, _, _ = select.select([0], [], [], _POLL_SECONDS)
        if not readable:
            continue
        if not os.read(0, 100):
            return
        if kill_at is None:
            kill_at = time.monotonic() + grace_seconds
            program.send_signal(signal.SIGTERM)


def _end_group(program: subprocess.Popen[bytes]) -> None:
    group = program.pid
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    program.wait()
    give_up = time.monotonic() + _KILL_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < give_up:
            os.killpg(group, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(guard(sys.argv[3:], Path(sys.argv[1]), float(sys.argv[2])))
