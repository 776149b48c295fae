"""Pods in the cluster cannot reach addresses outside this machine."""

from __future__ import annotations

import json

from support.kind import Kind

#: In TEST-NET-2, which is reserved for documentation (RFC 5737): a connection would reach no real host.
OUTSIDE = "198.51.100.1"
CONNECT = f"""
import socket
try:
    socket.create_connection(("{OUTSIDE}", 80), timeout=60)
except OSError as error:
    print(type(error).__name__, error.errno)
else:
    print("connected")
"""


def test_a_pod_that_connects_to_an_outside_address_is_refused(kind: Kind) -> None:
    container = {
        "name": "connect",
        "image": "modelmonitor/trainer:dev",
        "imagePullPolicy": "Never",
        "command": ["python", "-c", CONNECT],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    kind.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "connect", "namespace": kind.namespace},
            "spec": {
                "restartPolicy": "Never",
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container],
            },
        }
    )
    kind.wait("the end of the pod", lambda: kind.get("pod", "connect")["status"]["phase"] in {"Succeeded", "Failed"})
    output = kind.kubectl("logs", "connect").split()
    # The firewall rejects the connection (connection refused, or no route). If it dropped the packets, the error would
    # be a TimeoutError, and a pod that connects by mistake would hang.
    assert output[0] in {"ConnectionRefusedError", "OSError"}, json.dumps(output)
