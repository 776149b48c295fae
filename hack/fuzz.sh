#!/usr/bin/env bash
# Try random files and trainings on the command line until the time is up; stop at the first that ends in a traceback.
# usage: hack/fuzz.sh [SECONDS]
# Hypothesis keeps what failed in .hypothesis and tries it first next time; the seed of each round is printed.
. "$(dirname "$0")/lib.sh"
cd "$HACK/.."
end=$((SECONDS + ${1:-3600}))
while [ "$SECONDS" -lt "$end" ]; do
  seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
  echo "seed $seed"
  FUZZ_EXAMPLES=${FUZZ_EXAMPLES:-1000} .venv/bin/python -m pytest -q --timeout 0 \
    --hypothesis-profile=random --hypothesis-seed="$seed" tests/unit/check/test_fuzz.py tests/unit/train/test_fuzz.py
done
