"""Whether a system's log shows workerd issue 6624: concurrent requests that wedge the isolate they run in."""

from pathlib import Path

from wrangler.state import LOG

SIGNS = ("Cannot enter into task", "NoGilError")


def assert_never_wedged(state: Path) -> None:
    """None of it since the system on this state directory was last started, which began the log anew."""
    log = (state / LOG).read_text(errors="replace")
    assert [sign for sign in SIGNS if sign in log] == [], f"workerd issue 6624 shows itself in {state / LOG}"
