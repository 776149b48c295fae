"""Random walks of a monitor on a real API server keep the promises; `make walk-operator` walks further."""

from __future__ import annotations

import os
from pathlib import Path

from support.apiserver import ApiServer
from support.bent_operator import bent_operator
from support.faults import FAULTS
from support.kubelet import restarted
from support.operator_walk import Walk
from support.scene import Scene

#: The seed and the number of steps. Without them, a short walk that is the same each time.
SEED, STEPS = int(os.environ.get("SEED") or 1), int(os.environ.get("STEPS") or 25)


def test_a_random_walk(api_server: ApiServer, namespace: str, tmp_path: Path) -> None:
    with bent_operator(api_server, tmp_path, f"{namespace}-home", clean=False) as bent:
        scene = Scene(api_server.client, namespace, f"(log: {bent.operator.log})")
        with restarted(bent.operator):
            Walk(scene, bent, SEED, FAULTS).run(STEPS)
