"""The operator with shorter timeouts, a clock that is ahead or behind, or its credentials in files; a program.

Nothing else differs. A test that a hung connection is given up would otherwise take minutes. Too short a timeout on a
slow machine only makes the operator repeat a request.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import sys
from pathlib import Path

from kubernetes.config import incluster_config

from modelmonitor_operator import controller, kubernetes_gateway, main
from modelmonitor_operator.__main__ import main as run

#: Seconds after which a silent request, and a silent watch, are given up; seconds that the clock is ahead.
#: Folder with the token and the certificate authority of the service account, as in a pod.
ACCOUNT = "HURRIED_ACCOUNT"
READ, SILENT, AHEAD = "HURRIED_READ_SECONDS", "HURRIED_SILENT_SECONDS", "CLOCK_AHEAD_SECONDS"


def hurry() -> None:
    """Change the timeouts, the clock and the place of the credentials as the environment says."""
    if ACCOUNT in os.environ:
        incluster_config.SERVICE_TOKEN_FILENAME = str(Path(os.environ[ACCOUNT], "token"))
        incluster_config.SERVICE_CERT_FILENAME = str(Path(os.environ[ACCOUNT], "ca.crt"))
    kubernetes_gateway.READ_SECONDS = float(os.environ.get(READ, kubernetes_gateway.READ_SECONDS))
    kubernetes_gateway.SILENT_SECONDS = float(os.environ.get(SILENT, kubernetes_gateway.SILENT_SECONDS))
    ahead = dt.timedelta(seconds=float(os.environ.get(AHEAD, "0")))
    if ahead:
        vars(main)["Controller"] = functools.partial(controller.Controller, clock=functools.partial(_later, ahead))


def _later(ahead: dt.timedelta) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + ahead


if __name__ == "__main__":
    hurry()
    sys.exit(run())
