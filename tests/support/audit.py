"""The audit log of the API servers of a test run: what the operators of all tests asked for."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Environment variable with the folder of the logs; without it, nothing is logged.
VARIABLE = "AUDIT_LOGS"
#: What service accounts request, without bodies. Watches are logged when they begin.
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}
_FORBIDDEN = 403


@dataclass(frozen=True)
class Request:
    """A kind of request.

    Attributes
    ----------
    group, resource, verb
        As in a rule of a role; the resource includes the subresource.
    permitted
        Whether the API server let it through.
    """

    group: str
    resource: str
    verb: str
    permitted: bool


def audit_arguments() -> list[str]:
    """Return the arguments of a kube-apiserver that logs, if the run wants logs."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return []
    policy = Path(folder) / "policy.json"
    policy.write_text(json.dumps(_POLICY), encoding="utf-8")
    log = Path(folder) / f"{uuid.uuid4().hex}.log"
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking"]


def requests_of(account: str, folder: Path) -> set[Request]:
    """Return the requests for resources of all service accounts with a name, in all namespaces."""
    return {request for log in sorted(folder.glob("*.log")) for request in _read(log, account)}


def _read(log: Path, account: str) -> Iterator[Request]:
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # the server was killed while it wrote
            event = json.loads(line)
            target = event.get("objectRef")
            if target is None or event["user"]["username"].rpartition(":")[2] != account:
                continue
            resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
            permitted = event.get("responseStatus", {}).get("code") != _FORBIDDEN
            yield Request(target.get("apiGroup", ""), resource, event["verb"], permitted)
