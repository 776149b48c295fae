#!/usr/bin/env bash
# Run COMMAND in the Python environment of requirements/mlflow.txt: an MLflow server, its client and our packages.
# usage: [PYTHON=python3] hack/mlflow.sh COMMAND...     (the environment is created once for each content of that file)
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
  mv "$VENV.new" "$VENV" # last, so that an existing environment is complete
}
[ -d "$VENV" ] || step mlflow make_venv

# Scripts in bin/ contain the path where the environment was created, so COMMAND is run as a module.
export PYTHONPATH=api:policy:trainer PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
trap - EXIT
exec "$VENV/bin/python" -m "$@"
