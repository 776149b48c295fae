"""The checks that are stored with the results of a monitor."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from modelmonitor_trainer.cluster.stored_checks import read_checks
from modelmonitor_trainer.storage.local import LocalStore
from support import monitors
from unit.cluster.observed import NOW, UID, observed

#: The day whose verdict cannot be read.
BROKEN = 3


def test_the_newest_stored_checks_in_the_order_of_time(tmp_path: Path) -> None:
    verdicts: tuple[monitors.Verdict | None, ...] = ("NoDrift", "Inconclusive", "Drift", "Drift", None)
    for day, verdict in enumerate(verdicts):
        due = NOW + dt.timedelta(days=day)
        folder = tmp_path / "ml" / "flights" / "checks" / UID / f"{due:%Y%m%dT%H%M%S}Z-job-{day}"
        folder.mkdir(parents=True)
        if day == BROKEN:
            (folder / "verdict.json").write_text("{}")
        elif verdict is not None:
            answer = monitors.check(verdict, time=due).to_wire()
            (folder / "verdict.json").write_text(json.dumps({"answer": answer}))
    monitor = observed(spec={"storage": {"resultsURI": f"file://{tmp_path}/"}})
    points = read_checks(LocalStore(), monitor, 4)
    assert [(point.job_name, point.verdict) for point in points] == [("job-1", "Inconclusive"), ("job-2", "Drift")]
    assert points[0].effect == 0.31
    assert read_checks(LocalStore(), observed(spec={"storage": {"resultsURI": f"file://{tmp_path}/x/"}}), 4) == ()
