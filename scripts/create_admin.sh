#!/usr/bin/env bash
# Makes the first admin of staging, production or a local state; `scripts/create_admin.sh --help` lists the options.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# -P: a folder called wrangler in the caller's directory must not take the place of ours.
PYTHONPATH=$root:$root/services/user/src exec "$python" -P -m wrangler.admin "$@"
