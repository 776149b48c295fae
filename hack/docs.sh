#!/usr/bin/env bash
# Build the documentation site into build/site with the Python environment of requirements/docs.txt; warnings are errors.
# usage: hack/docs.sh [MKDOCS-COMMAND...]     (default: build --strict; `hack/docs.sh serve` rebuilds on every change)
. "$(dirname "$0")/lib.sh"
cd "$HACK/.."
PYTHON=${PYTHON:-python3}
INPUTS=$({ cat requirements/docs.txt; "$PYTHON" --version; } | hash_of)
VENV=$CACHE/docs-$INPUTS

make_venv() {
  rm -rf "$VENV.new"
  "$PYTHON" -m venv "$VENV.new"
  "$VENV.new/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/docs.txt
  rm -rf "$CACHE"/docs-????????????????
  mv "$VENV.new" "$VENV" # last: a folder of this name is a complete environment
}
[ -d "$VENV" ] || step docs make_venv

[ $# -gt 0 ] || set -- build --strict
trap - EXIT
# Scripts in bin/ name the folder in which the environment was made, so MkDocs is run as a module.
PYTHONDONTWRITEBYTECODE=1 NO_MKDOCS_2_WARNING=1 exec "$VENV/bin/python" -m mkdocs "$@"
