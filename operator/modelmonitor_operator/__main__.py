"""``python -m modelmonitor_operator``: run the operator with the settings in the environment."""

from __future__ import annotations

import os
import sys

import kopf

from modelmonitor_operator.main import run
from modelmonitor_operator.settings import Settings


def main() -> int:
    """Return the exit code."""
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        print(f"modelmonitor-operator: {error}", file=sys.stderr)  # noqa: T201 - there is no logging yet
        return 2
    log_format = kopf.LogFormat.JSON if os.environ.get("LOG_FORMAT") == "json" else kopf.LogFormat.FULL
    level = os.environ.get("LOG_LEVEL", "info").lower()
    kopf.configure(log_format=log_format, debug=level == "debug", quiet=level in ("warning", "error"))
    run(settings, os.environ.get("LIVENESS_ENDPOINT", "http://0.0.0.0:8080/healthz"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
