#!/usr/bin/env bash
# Run COMMAND with the Python environment of requirements/mlflow.txt: a real MLflow server with its client, beside our packages.
# usage: hack/mlflow.sh COMMAND...     (it is made once for what stands in that file; PYTHON names another interpreter)
. "$(dirname "$0")/lib.sh"
cd "$HACK/.."
PYTHON=${PYTHON:-python3}
INPUTS=$({ cat requirements/mlflow.txt; "$PYTHON" --version; } | hash_of)
VENV=$CACHE/mlflow-$INPUTS

make_venv() {
  rm -rf "$VENV.new"
  "$PYTHON" -m venv "$VENV.new"
  "$VENV.new/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/mlflow.txt
  rm -rf "$CACHE"/mlflow-????????????????
  mv "$VENV.new" "$VENV" # last: what is there is whole
}
[ -d "$VENV" ] || step mlflow make_venv

# Scripts in bin/ name the folder that the environment was made in: COMMAND is a module of its Python.
export PYTHONPATH=api:policy:trainer PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
trap - EXIT
exec "$VENV/bin/python" -m "$@"
