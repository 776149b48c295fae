"""Report pages: which one is wanted, and that an opened page can do nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelmonitor_api.status import LastTraining
from modelmonitor_trainer.cluster.report_page import find_check_report, find_training_report, safe_page
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.storage.local import LocalStore
from unit.cluster.observed import NOW, UID, last_check, observed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ml" / "flights"


def at(root: Path, **status: Any) -> Any:
    return observed(spec={"storage": {"resultsURI": f"file://{root.parents[1]}/"}}, **status)


def write(root: Path, *paths: str) -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("<!doctype html>")


def test_the_page_of_the_newest_check(root: Path) -> None:
    write(root, f"checks/{UID}/20130401T060000Z-a/report.html", f"checks/{UID}/20130402T060000Z-b/report.html")
    write(root, f"checks/{UID}/20130403T060000Z-c/verdict.json", "checks/other/20140101T000000Z-x/report.html")
    store = LocalStore()
    assert find_check_report(store, at(root)).endswith(f"checks/{UID}/20130402T060000Z-b/report.html")
    stated = f"file://{root}/checks/{UID}/20130401T060000Z-a/report.html"
    assert find_check_report(store, at(root, last_check=last_check(report_uri=stated))) == stated


def test_a_uri_of_the_status_outside_of_the_results_is_not_used(root: Path) -> None:
    write(root, f"checks/{UID}/20130401T060000Z-a/report.html")
    monitor = at(root, last_check=last_check(report_uri="file:///etc/passwd"))
    assert find_check_report(LocalStore(), monitor).startswith(f"file://{root}/")


def test_pages_of_trainings(root: Path) -> None:
    write(
        root, *(f"runs/{UID}/{name}/report.html" for name in ("1", "2", "10-0badcafe")), f"runs/{UID}/11/request.json"
    )
    store, monitor = LocalStore(), at(root)
    assert find_training_report(store, monitor, 2).endswith("/2/report.html")
    assert find_training_report(store, monitor, 10).endswith("/10-0badcafe/report.html")
    assert find_training_report(store, monitor, None).endswith("/10-0badcafe/report.html"), "11 has no page"
    with pytest.raises(NotFound, match=r"no training 11 .* trainings with results: 1, 2, 10, 11"):
        find_training_report(store, monitor, 11)
    last = LastTraining(number=2, job_name="j", start_time=NOW, report_uri=f"file://{root}/runs/{UID}/2/report.html")
    assert find_training_report(store, at(root, last_training=last), None).endswith("/2/report.html")


def test_what_does_not_exist_is_named(root: Path) -> None:
    with pytest.raises(NotFound, match="no check of ml/flights has written a page under"):
        find_check_report(LocalStore(), at(root))
    with pytest.raises(NotFound, match=r"no training of ml/flights .* trainings with results: none"):
        find_training_report(LocalStore(), at(root), None)
    with pytest.raises(BadConfiguration, match="the spec of ml/flights is invalid"):
        find_check_report(LocalStore(), observed(spec={"schedule": 3}))


def test_the_policy_comes_before_everything_else() -> None:
    page = safe_page(b"<!DOCTYPE html>\n<script>alert(1)</script>", "s3://b/x")
    assert page.startswith('<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="default-src \'none\';')


@pytest.mark.parametrize("data", [b"", b"<script>alert(1)</script><!doctype html>", b"\xff\xfe", b"%PDF"])
def test_what_is_no_page_is_not_opened(data: bytes) -> None:
    with pytest.raises(BadData, match="is not a report page"):
        safe_page(data, "s3://b/x")
