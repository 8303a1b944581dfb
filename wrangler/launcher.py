"""The launcher: decides with which flags workerd starts in a local run.

Miniflare starts the program that MINIFLARE_WORKERD_PATH names and offers no way to add a flag, so it gets a script
that adds them after `serve`.
"""

import os
import shlex

from wrangler.checkout import Checkout
from wrangler.snapshot import SNAPSHOT_FILE

_SCRIPT = """\
#!/bin/sh
# Made by set-up. PASAR_SNAPSHOT=off starts without the memory snapshot. PASAR_DIRECT_PORT=N gives the Workers' own
# workerd, which Miniflare starts on a port of the system's choice, port N: past wrangler's proxy, any Worker answers.
workerd={workerd}
snapshot_folder={snapshot_folder}
[ "$1" = serve ] || exec "$workerd" "$@"
shift
for argument do
  if [ "$argument" = --socket-addr=entry=127.0.0.1:0 ] && [ -n "$PASAR_DIRECT_PORT" ]; then
    argument="--socket-addr=entry=127.0.0.1:$PASAR_DIRECT_PORT"
  fi
  set -- "$@" "$argument"
  shift
done
if [ -f "$snapshot_folder"/{snapshot_file} ] && [ "$PASAR_SNAPSHOT" != off ]; then
  set -- --python-snapshot-dir="$snapshot_folder" --python-load-snapshot={snapshot_file} "$@"
fi
exec "$workerd" serve --pyodide-bundle-disk-cache-dir={bundle_folder} "$@"
"""


def write(checkout: Checkout) -> None:
    """Write the launcher of the checkout. Raises `ToolMissing` when npm installed no workerd for this platform."""
    script = _SCRIPT.format(
        workerd=shlex.quote(str(checkout.workerd)),
        bundle_folder=shlex.quote(str(checkout.bundle_folder)),
        snapshot_folder=shlex.quote(str(checkout.snapshot_folder)),
        snapshot_file=SNAPSHOT_FILE,
    )
    partial = checkout.launcher.with_suffix(".partial")
    partial.write_text(script)
    partial.chmod(0o755)
    os.replace(partial, checkout.launcher)
