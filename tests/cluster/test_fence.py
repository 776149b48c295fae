"""Nothing in the cluster reaches an address off this machine."""

from __future__ import annotations

import json

from support.kind import Kind

#: TEST-NET-2: an address of nobody, so that a hole in the fence harms nobody either (RFC 5737).
OUTSIDE = "198.51.100.1"
DIAL = f"""
import socket, time
begun = time.monotonic()
try:
    socket.create_connection(("{OUTSIDE}", 80), timeout=10)
except OSError as error:
    print(type(error).__name__, error.errno, round(time.monotonic() - begun, 1))
else:
    print("connected")
"""


def test_a_pod_that_dials_outside_is_refused(kind: Kind) -> None:
    container = {
        "name": "dial",
        "image": "modelmonitor/trainer:dev",
        "imagePullPolicy": "Never",
        "command": ["python", "-c", DIAL],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    kind.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "dial", "namespace": kind.namespace},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container],
            },
        }
    )
    kind.wait("the end of the pod", lambda: kind.get("pod", "dial")["status"]["phase"] in {"Succeeded", "Failed"})
    said = kind.kubectl("logs", "dial").split()
    # Refused at once by the fence (connection refused, or no route), not silently dropped or answered.
    assert said[0] in {"ConnectionRefusedError", "OSError"}, json.dumps(said)
    assert float(said[-1]) < 5
