"""A checkout without tools: its `node` is a program of the tests that behaves as wrangler would.

As `wrangler dev` it serves `/health` on its port and starts one more process, as wrangler starts workerd; else it only
succeeds, and keeps the last file that it was given. A file called `fail` in the checkout makes it fail instead, with
its text; one called `health` is the health that it tells.
"""

import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

from wrangler.checkout import Checkout
from wrangler.topology import PASAR

FIRST_ADMIN = "INSERT INTO users VALUES (:id, :email, :name, :password_hash, :at);\n"
_DEADLINE_SECONDS = 30

_NODE = """\
#!{python}
import json, os, pathlib, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        told = root / "health"
        self.wfile.write(told.read_bytes() if told.exists() else b'{{"status": "ok"}}')

root = pathlib.Path({root!r})
with (root / "started").open("a") as calls:
    print(*sys.argv[1:], file=calls)
failure = root / "fail"
if failure.exists():
    print(failure.read_text())
    sys.exit(3)
if "--file" in sys.argv:
    given = pathlib.Path(sys.argv[sys.argv.index("--file") + 1])
    mode = given.stat().st_mode & 0o777
    (root / "given").write_text(json.dumps({{"path": str(given), "mode": mode, "text": given.read_text()}}))
if "dev" in sys.argv:
    child = subprocess.Popen(["sleep", "600"])
    (root / "processes").write_text(f"{{os.getpid()}} {{child.pid}}")
    HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Health).serve_forever()
"""


def fake_checkout(root: Path) -> Checkout:
    """A checkout in `root` with a source file and a migration for every Worker."""
    checkout = Checkout(root)
    for worker in PASAR.workers:
        write(root / "services" / worker.name / "src" / "entry.py", f"# {worker.name}")
        if worker.database is not None:
            write(root / "services" / worker.name / "migrations" / "0001_first.sql", "CREATE TABLE one (id TEXT);")
    write(root / "services" / "user" / "first_admin.sql", FIRST_ADMIN)
    write(root / "shared_kernel" / "money.py", "# money")
    write(root / "workflows" / "order_saga" / "saga.py", "# saga")
    node = checkout.node_folder / "node"
    write(node, _NODE.format(python=sys.executable, root=str(root)))
    node.chmod(node.stat().st_mode | stat.S_IXUSR)
    return checkout


def write(path: Path, text: str) -> None:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def calls(checkout: Checkout) -> list[str]:
    """The arguments of each start of `node`, oldest first."""
    started = checkout.root / "started"
    return started.read_text().splitlines() if started.exists() else []


def lives(pid: int) -> bool:
    """Whether there is such a process that does not merely wait to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that must come true."""
    give_up = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)
