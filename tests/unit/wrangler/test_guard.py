"""Nothing that a guarded program started outlives its owner, however the owner ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.unit.wrangler.fake_checkout import lives, wait_until
from wrangler import guard

GUARD = Path(guard.__file__)
# A program that starts another one, as wrangler does, and tells when both run.
FAMILY = "import subprocess, sys, time; child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); "
DEADLINE_SECONDS = 20


def guarded(group_file: Path, code: str, grace_seconds: float = 10) -> "subprocess.Popen[bytes]":
    """A guard with a Python program under it."""
    return subprocess.Popen(
        [sys.executable, "-I", str(GUARD), str(group_file), str(grace_seconds), sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def first_line(process: "subprocess.Popen[bytes]") -> bytes:
    """What the program says first."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_exit_status_of_the_program_is_passed_on(tmp_path: Path) -> None:
    process = guarded(tmp_path / "group", "raise SystemExit(7)")
    assert process.wait(DEADLINE_SECONDS) == 7
    process.communicate()


def test_what_the_program_left_behind_is_killed_when_it_ends(tmp_path: Path) -> None:
    process = guarded(tmp_path / "group", FAMILY)
    child = int(first_line(process))
    assert process.wait(DEADLINE_SECONDS) == 0
    assert not lives(child)
    process.communicate()


def test_the_program_is_asked_to_end_and_may_say_good_bye(tmp_path: Path) -> None:
    goodbye = "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); print('on', flush=True); "
    process = guarded(tmp_path / "group", FAMILY + goodbye + "time.sleep(600)")
    child = int(first_line(process))
    assert first_line(process) == b"on\n"
    assert process.stdin is not None
    process.stdin.write(b"end\n")
    process.stdin.flush()
    assert process.wait(DEADLINE_SECONDS) == 5
    assert not lives(child)
    process.communicate()


def test_a_program_that_does_not_end_within_its_grace_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); "
    process = guarded(tmp_path / "group", FAMILY + stubborn + "time.sleep(600)", grace_seconds=0.2)
    child = int(first_line(process))
    assert first_line(process) == b"on\n"
    assert process.stdin is not None
    process.stdin.write(b"end\n")
    process.stdin.flush()
    assert process.wait(DEADLINE_SECONDS) == 128 + signal.SIGKILL
    assert not lives(child)
    process.communicate()


def test_everything_is_killed_when_the_owner_dies(tmp_path: Path) -> None:
    process = guarded(tmp_path / "group", FAMILY + "time.sleep(600)")
    child = int(first_line(process))
    group = int((tmp_path / "group").read_text())
    assert os.getpgid(child) == group
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(DEADLINE_SECONDS) == 128 + signal.SIGKILL
    wait_until(lambda: not lives(child) and not lives(group))
    assert process.stdout is not None
    process.stdout.close()
