"""``python -m modelmonitor_operator``: run the operator with the settings in the environment."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TypeVar

import kopf

from modelmonitor_operator.main import run
from modelmonitor_operator.settings import Settings

_T = TypeVar("_T")

_FORMATS = {"json": kopf.LogFormat.JSON, "plain": kopf.LogFormat.FULL}
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def main() -> int:
    """Return the exit code."""
    try:
        settings = Settings.from_environment(os.environ)
        log_format = _choice("LOG_FORMAT", "plain", _FORMATS)
        level = _choice("LOG_LEVEL", "info", _LEVELS)
    except ValueError as error:
        print(f"modelmonitor-operator: {error}", file=sys.stderr)  # noqa: T201 - there is no logging yet
        return 2
    kopf.configure(log_format=log_format, debug=level == logging.DEBUG)
    logging.getLogger().setLevel(level)
    run(settings, os.environ.get("LIVENESS_ENDPOINT", "http://0.0.0.0:8080/healthz"))
    return 0


def _choice(name: str, default: str, choices: Mapping[str, _T]) -> _T:
    chosen = (os.environ.get(name) or default).lower()
    if chosen not in choices:
        raise ValueError(f"{name} is {chosen!r}; it must be one of {', '.join(choices)}")
    return choices[chosen]


if __name__ == "__main__":
    sys.exit(main())
