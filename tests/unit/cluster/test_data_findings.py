"""What ``kubectl mmon doctor`` finds in the data: partitions and columns."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.cluster.doctor.data_findings import find_in_data
from modelmonitor_trainer.cluster.doctor.findings import Finding, Severity
from modelmonitor_trainer.storage.local import LocalStore
from support.monitors import monitor
from unit.cluster.observed import NOW


def write(folder: Path, kind: str, *days: str, columns: dict[str, Any] | None = None) -> None:
    content = columns or {"id": ["a"], **({"temp": [1.0], "carrier": ["x"]} if kind == "rows" else {"late": [1]})}
    for day in days:
        path = folder / kind / day / "part.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(content), path)


def days(count: int = 28, end: dt.date = dt.date(2013, 4, 1)) -> list[str]:
    return [f"date={end - dt.timedelta(days=number)}" for number in range(count)]


def find(folder: Path, template: str = "date=%Y-%m-%d", **changes: Any) -> list[Finding]:
    data = {
        "live": {"uri": f"file://{folder}/rows/{template}/", "windowDays": 28},
        "labels": {"uri": f"file://{folder}/labels/{template}/", "joinKey": "id", "delayDays": 2},
    }
    spec = parse(ModelMonitorSpec, monitor(data=data | changes)["spec"])
    return list(find_in_data(LocalStore(), spec, NOW, "kubectl edit"))


def messages(findings: list[Finding], severity: Severity) -> list[str]:
    return [f"{finding.subject}: {finding.message}" for finding in findings if finding.severity is severity]


def test_good_data_have_no_problem(tmp_path: Path) -> None:
    write(tmp_path, "rows", *days())
    write(tmp_path, "labels", *days())
    findings = find(tmp_path)
    assert {finding.severity for finding in findings} == {Severity.FINE}
    assert "Live data: The newest partition is of 2013-04-01; 28 of the last 28 days have one." in messages(
        findings, Severity.FINE
    )


@pytest.mark.parametrize(
    ("present", "message"),
    [
        ([], "Live data: There is nothing under file://{folder}/rows/ (spec.data.live.uri)."),
        (["day=2013-04-01"], "matches nothing: file://{folder}/rows/date=%Y-%m-%d/. Beside it are the folders day="),
        (["date=unknown"], "Beside it are the folders date=unknown."),
        (["date=2013-05-01"], "matches no partition before today: file://{folder}/rows/date=%Y-%m-%d/."),
    ],
)
def test_a_pattern_that_matches_nothing(tmp_path: Path, present: list[str], message: str) -> None:
    write(tmp_path, "labels", *days())
    write(tmp_path, "rows", *present)
    problems = messages(find(tmp_path), Severity.PROBLEM)
    assert any(message.format(folder=tmp_path) in problem for problem in problems), problems


def test_empty_misnamed_missing_and_old_partitions(tmp_path: Path) -> None:
    present = [day for day in days(28, dt.date(2013, 3, 20)) if day != "date=2013-03-15"]
    write(tmp_path, "rows", *present, "date=20130310x")
    write(tmp_path, "labels", *days())
    (tmp_path / "rows" / "date=2013-03-20" / "part.parquet").write_bytes(b"")
    findings = find(tmp_path)
    warnings = messages(findings, Severity.WARNING)
    assert any(
        "There is 1 folder beside its partitions whose name is no day: date=20130310x." in text for text in warnings
    ), warnings
    assert any("Days without a partition among the last 28: 2013-03-15." in text for text in warnings), warnings
    assert any("The newest partition is of 2013-03-20, 13 days ago." in text for text in warnings), warnings
    assert any("hold only empty objects: 2013-03-20." in text for text in messages(findings, Severity.PROBLEM))


def test_columns_that_the_newest_rows_lack(tmp_path: Path) -> None:
    write(tmp_path, "rows", *days(), columns={"id": ["a"], "temp": ["cold"], "carier": ["x"]})
    write(tmp_path, "labels", *days())
    problems = messages(find(tmp_path), Severity.PROBLEM)
    assert any("has no column 'carrier'; did you mean 'carier'?" in problem for problem in problems), problems
    assert any("'temp' is declared Numeric and holds text" in problem for problem in problems), problems


def test_a_reference_without_partitions(tmp_path: Path) -> None:
    write(tmp_path, "rows", *days())
    write(tmp_path, "labels", *days())
    none = find(tmp_path, reference={"start": "2012-01-01", "end": "2012-01-31"})
    assert "Reference: spec.data.reference (2012-01-01 to 2012-01-31) has no partition." in messages(
        none, Severity.PROBLEM
    )
    few = find(tmp_path, reference={"start": "2013-01-01", "end": "2013-03-10"})
    assert "Reference: Only 6 of its 69 days (2013-01-01 to 2013-03-10) have a partition." in messages(
        few, Severity.WARNING
    )


def test_what_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    write(tmp_path, "labels", *days())
    write(tmp_path, "rows", *days())
    for path in (tmp_path / "rows").rglob("*.parquet"):
        path.write_bytes(b"PAR1 broken PAR1")
    problems = [text for text in messages(find(tmp_path), Severity.PROBLEM) if text.startswith("Columns")]
    assert problems
