#!/usr/bin/env bash
# Starts the whole system on this machine and runs it until Ctrl-C; `scripts/dev.sh --help` lists the options.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# -P: a folder called wrangler in the caller's directory must not take the place of ours.
PYTHONPATH=$root exec "$python" -P -m wrangler.dev "$@"
