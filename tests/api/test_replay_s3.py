"""A replay of data on a real S3 server, with results on this machine, beside a monitor that is live."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from support.lake import FIRST_DAY, Lake
from support.pods import Pod, train_request
from support.s3 import S3Server


def test_data_on_s3_are_replayed_and_the_live_champion_stays(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    lake = Lake(s3_server, bucket)
    lake.add_days(0, 60)
    monitor = lake.monitor()
    pod = Pod(train_request(monitor), tmp_path, s3_server.environment)
    pod.wait()
    before = lake.etags()
    path = tmp_path / "monitor.yaml"
    path.write_text(yaml.safe_dump(monitor))
    first, last = (FIRST_DAY + dt.timedelta(days=days) for days in (40, 52))
    command = ["replay", "-f", str(path), "--from", f"{first}", "--to", f"{last}"]
    finished = subprocess.run(
        [sys.executable, "-m", "modelmonitor_trainer.cli.main", *command, "--output", "json"],
        cwd=tmp_path,
        env=os.environ | dict(s3_server.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    document = json.loads(finished.stdout)
    (own,) = document["policies"]
    assert own["counts"]["checks"] >= 12
    assert own["counts"]["promoted"] >= 1
    assert lake.etags() == before
    assert (tmp_path / f"replay-{monitor['metadata']['name']}" / "settings").is_dir()
