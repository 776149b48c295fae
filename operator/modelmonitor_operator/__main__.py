"""``python -m modelmonitor_operator``: run the operator with the settings in the environment."""

from __future__ import annotations

import logging
import os
import sys

import kopf

from modelmonitor_operator.main import run
from modelmonitor_operator.settings import Settings

_FORMATS = {"json": kopf.LogFormat.JSON, "plain": kopf.LogFormat.FULL}


def main() -> int:
    """Run the operator until it is stopped, and return the exit code."""
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        print(f"modelmonitor-operator: {error}", file=sys.stderr)  # noqa: T201 - logging is not configured yet
        return 2
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    kopf.configure(log_format=_FORMATS[settings.log_format], debug=level == logging.DEBUG)
    logging.getLogger().setLevel(level)
    run(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
