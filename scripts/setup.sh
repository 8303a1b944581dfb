# Sourced by the other scripts: leaves $root and $python, the interpreter of a virtual environment that has everything.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Pasar needs python3, version 3.11 or later (on Debian: apt-get install python3 python3-pip)" >&2
  exit 1
fi
(cd "$root" && python3 -m wrangler.setup) || exit
python=$root/.venv/bin/python
