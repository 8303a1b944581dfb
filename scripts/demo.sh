#!/usr/bin/env bash
# Places three orders in a running shop, or in one that it starts and stops; `scripts/demo.sh --help` lists the options.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# -P: a folder called wrangler in the caller's directory must not take the place of ours.
PYTHONPATH=$root exec "$python" -P -m wrangler.demo "$@"
