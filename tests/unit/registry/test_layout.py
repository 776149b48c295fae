"""Layout of the results prefix: the URIs that operators back up and that other tools read."""

import datetime as dt

import pytest

from modelmonitor_trainer.errors import NotFound
from modelmonitor_trainer.registry.layout import CheckLayout, ResultsLayout

LAYOUT = ResultsLayout("s3://b/results/ns/mon/")
DUE = dt.datetime(2013, 5, 4, 6, 0, 0, tzinfo=dt.UTC)


def test_every_uri():
    version, run, check = LAYOUT.version("v3-0badcafe"), LAYOUT.run("u", 3), LAYOUT.check("u", DUE, "mon-check-1")
    assert version.name == "v3-0badcafe"
    for uri, expected in (
        (LAYOUT.champion, "champion.json"),
        (version.record, "versions/v3-0badcafe/version.json"),
        (version.file("model.skops"), "versions/v3-0badcafe/model.skops"),
        (version.reservation, "versions/v3-0badcafe/wanted.json"),
        (version.deletion, "versions/v3-0badcafe/deleting.json"),
        (LAYOUT.watch("v3-0badcafe", 8, "1234"), "watch/v3-0badcafe/8-1234.json"),
        (run.request, "runs/u/3/request.json"),
        (run.manifest, "runs/u/3/manifest.json"),
        (run.champion, "runs/u/3/compared-with.json"),
        (run.report, "runs/u/3/report.html"),
        (run.verdict, "runs/u/3/verdict.json"),
        (LAYOUT.run("u", 3, "1234").verdict, "runs/u/3-1234/verdict.json"),
        (check.report, "checks/u/20130504T060000Z-mon-check-1/report.html"),
        (check.verdict, "checks/u/20130504T060000Z-mon-check-1/verdict.json"),
        (LAYOUT.profiles, "profiles/"),
        (LAYOUT.scores("v3-0badcafe"), "scores/v3-0badcafe/"),
    ):
        assert uri == f"s3://b/results/ns/mon/{expected}"


def test_due_time_and_job_are_read_from_the_folder_of_a_check():
    check = LAYOUT.check("u", DUE, "mon-check-1")
    assert (check.due, check.job) == (DUE, "mon-check-1")
    other = CheckLayout(f"{LAYOUT.checks('u')}notes.txt")
    assert (other.due, other.job) == (None, None)


@pytest.mark.parametrize("name", ["", "..", "../v1", "v1/..", "v1 x", "vé"])
def test_names_that_no_version_has(name):
    with pytest.raises(NotFound):
        LAYOUT.version(name)
