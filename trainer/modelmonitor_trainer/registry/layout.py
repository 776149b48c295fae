"""Layout of the results prefix: the URI of every object that a monitor writes.

Nothing here reads or writes. Every other module asks for a URI instead of building one, so this module is the
documentation of the prefix::

    <resultsURI><namespace>/<name>/
        champion.json                              champion pointer
        tenures/<number>-<version>.json            one change of the champion, a copy from the pointer's history
        decisions.json                             pin and retirement of the champion, a copy from the pointer
        versions/<version>/version.json            record of a model version; written last
        versions/<version>/…                       its files: model, manifest, metrics, card, reference profiles
        versions/<version>/wanted.json             reservation by a rollback or a promotion
        versions/<version>/deleting.json           announcement of a deletion by the retention
        watch/<version>/<look>-<key>.json          result of one look of the champion watch
        runs/<uid>/<number>[-<variant>]/…          one training: request, manifest, champion, report, verdict
        checks/<uid>/<due>Z-<job>/…                one check: report, verdict
        profiles/…                                 cached profiles of objects, and their plans
        scores/<version>/…                         cached scores of a version on labelled rows
        ledger/<uid>/<time>Z-<hash>.json           decisions of the operator; each file has the newest at its time
        owner.json                                 the monitor and the cluster that write here
        damaged/champion-<hash>.json               a champion pointer that a repair replaced
        probes/…                                   short-lived objects that test conditional writes
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.errors import NotFound

#: Names of the files of a version, below its folder.
VERSION_FILE = "version.json"
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.skops"
#: The model that was compared, where the model that serves is another fit of the same recipe.
EVALUATED_FILE = "evaluated.skops"
METRICS_FILE = "metrics.json"
PARAMETERS_FILE = "parameters.json"
ENVIRONMENT_FILE = "environment.json"
COMPARISON_FILE = "comparison.json"
CARD_FILE, CARD_PAGE_FILE = "card.md", "card.html"
#: Profiles of the training window, for checks; see :mod:`modelmonitor_trainer.profile.reference`.
REFERENCE_ROWS_FILE, REFERENCE_LABELS_FILE = "reference-rows.zip", "reference-labels.zip"
#: Prefix of the files that a custom trainer wrote.
MODEL_FOLDER = "model/"

_DUE_FORMAT = "%Y%m%dT%H%M%S"
_CHECK_FOLDER = re.compile(r"(\d{8}T\d{6})Z-(.+)")


def is_version_name(name: str) -> bool:
    """Return whether a version can have this name."""
    return bool(name) and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)


def profile_name(uri: str) -> str | None:
    """Return the name of a cached profile, or of a prefix of them, below the profiles of a monitor; None for others.

    >>> profile_name("s3://bucket/results/ns/flights/profiles/0badcafe/x.profile")
    '0badcafe/x.profile'
    """
    _, profiles, name = uri.partition("/profiles/")
    return name if profiles else None


def _last_part(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class VersionLayout:
    """Folder of one model version.

    Attributes
    ----------
    folder
        Its URI, with a slash at the end.
    """

    folder: str

    @property
    def name(self) -> str:
        """Name of the version."""
        return _last_part(self.folder)

    @property
    def record(self) -> str:
        """Record of the version; it exists once the version is complete."""
        return self.file(VERSION_FILE)

    @property
    def reservation(self) -> str:
        """Object by which a rollback or a promotion keeps the version from being deleted."""
        return f"{self.folder}wanted.json"

    @property
    def deletion(self) -> str:
        """Object by which the retention announces that it deletes the version."""
        return f"{self.folder}deleting.json"

    def file(self, name: str) -> str:
        """Return the URI of a file of the version."""
        return f"{self.folder}{name}"


@dataclass(frozen=True)
class RunLayout:
    """Folder of one training.

    Attributes
    ----------
    folder
        Its URI, with a slash at the end.
    """

    folder: str

    @property
    def request(self) -> str:
        """Request of the training."""
        return f"{self.folder}request.json"

    @property
    def manifest(self) -> str:
        """Data manifest that the first pod froze."""
        return f"{self.folder}{MANIFEST_FILE}"

    @property
    def champion(self) -> str:
        """Champion that the challenger is compared with."""
        return f"{self.folder}compared-with.json"

    @property
    def report(self) -> str:
        """Page for people."""
        return f"{self.folder}report.html"

    @property
    def verdict(self) -> str:
        """Verdict; it exists once the training has ended."""
        return f"{self.folder}verdict.json"


@dataclass(frozen=True)
class CheckLayout:
    """Folder of one check.

    Attributes
    ----------
    folder
        Its URI, with a slash at the end.
    """

    folder: str

    @property
    def due(self) -> dt.datetime | None:
        """When the check was due; None if the folder is not that of a check."""
        match = _CHECK_FOLDER.fullmatch(_last_part(self.folder))
        return dt.datetime.strptime(match[1], _DUE_FORMAT).replace(tzinfo=dt.UTC) if match else None

    @property
    def job(self) -> str | None:
        """Name of the Job that ran the check; None if the folder is not that of a check."""
        match = _CHECK_FOLDER.fullmatch(_last_part(self.folder))
        return match[2] if match else None

    @property
    def report(self) -> str:
        """Page for people."""
        return f"{self.folder}report.html"

    @property
    def verdict(self) -> str:
        """Verdict with all figures; it exists once the check has ended."""
        return f"{self.folder}verdict.json"


@dataclass(frozen=True)
class ResultsLayout:
    """Everything below the results prefix of one monitor.

    Attributes
    ----------
    root
        The prefix, with a slash at the end.

    Examples
    --------
    >>> layout = ResultsLayout("s3://bucket/results/ns/flights/")
    >>> layout.version("v3-0badcafe").record
    's3://bucket/results/ns/flights/versions/v3-0badcafe/version.json'
    """

    root: str

    @classmethod
    def of(cls, spec: ModelMonitorSpec, monitor: MonitorRef) -> ResultsLayout:
        """Return the layout of a monitor."""
        return cls(f"{spec.storage.results_uri}{monitor.namespace}/{monitor.name}/")

    @property
    def champion(self) -> str:
        """Champion pointer."""
        return f"{self.root}champion.json"

    @property
    def versions(self) -> str:
        """Prefix of all versions."""
        return f"{self.root}versions/"

    def version(self, name: str) -> VersionLayout:
        """Return the folder of a version.

        Raises
        ------
        NotFound
            If `name` cannot be the name of a version; it may come from an annotation.
        """
        if not is_version_name(name):
            raise NotFound(f"{name!r} is not a valid version name; modelmonitor versions lists the existing versions")
        return VersionLayout(f"{self.versions}{name}/")

    @property
    def tenures(self) -> str:
        """Prefix of the copies of the champion's history."""
        return f"{self.root}tenures/"

    def tenure(self, number: int, version: str) -> str:
        """Return the copy of a change of the champion.

        Parameters
        ----------
        number
            Number of the change, from 1.
        version
            The version that became the champion.
        """
        return f"{self.tenures}{number:06d}-{version}.json"

    @property
    def decisions(self) -> str:
        """Copy of the decisions about the champion."""
        return f"{self.root}decisions.json"

    @property
    def owner(self) -> str:
        """The monitor and the cluster that write here."""
        return f"{self.root}owner.json"

    def ledger(self, uid: str, newest: dt.datetime, key: str) -> str:
        """Return a part of the ledger, by the time of its newest decision and a hash of its content."""
        return f"{self.root}ledger/{uid}/{newest.astimezone(dt.UTC).strftime(_DUE_FORMAT)}Z-{key}.json"

    def damaged_champion(self, key: str) -> str:
        """Return where a repair keeps a damaged champion pointer; `key` is a hash of its content."""
        return f"{self.root}damaged/champion-{key}.json"

    @property
    def probes(self) -> str:
        """Prefix of the objects that test conditional writes."""
        return f"{self.root}probes/"

    def watches(self, version: str) -> str:
        """Return the prefix of the champion watch of a version."""
        return f"{self.root}watch/{version}/"

    def watch(self, version: str, look: int, key: str) -> str:
        """Return the result of one look of the champion watch.

        Parameters
        ----------
        version
            The watched champion.
        look
            Number of days after which it is compared with its predecessor.
        key
            Hash of the promotion and of the settings by which it is judged.
        """
        return f"{self.watches(version)}{look}-{key}.json"

    @property
    def all_runs(self) -> str:
        """Prefix of all trainings of all monitors that had this name."""
        return f"{self.root}runs/"

    @property
    def all_checks(self) -> str:
        """Prefix of all checks of all monitors that had this name."""
        return f"{self.root}checks/"

    def runs(self, uid: str) -> str:
        """Return the prefix of all trainings of the monitor with this UID."""
        return f"{self.all_runs}{uid}/"

    def run(self, uid: str, number: int, variant: str = "") -> RunLayout:
        """Return the folder of a training.

        Parameters
        ----------
        uid
            UID of the monitor.
        number
            Number of the training.
        variant
            Hash of the request, if another request with the same number came first.
        """
        return RunLayout(f"{self.runs(uid)}{number}{f'-{variant}' if variant else ''}/")

    def checks(self, uid: str) -> str:
        """Return the prefix of all checks of the monitor with this UID."""
        return f"{self.all_checks}{uid}/"

    def check(self, uid: str, due: dt.datetime, job: str) -> CheckLayout:
        """Return the folder of a check.

        Parameters
        ----------
        uid
            UID of the monitor.
        due
            When the check was due, in UTC.
        job
            Name of the Job that runs it.
        """
        return CheckLayout(f"{self.checks(uid)}{due:{_DUE_FORMAT}}Z-{job}/")

    @property
    def profiles(self) -> str:
        """Prefix of cached profiles; :mod:`modelmonitor_trainer.profile` names the objects below it."""
        return f"{self.root}profiles/"

    @property
    def all_scores(self) -> str:
        """Prefix of the cached scores of all versions."""
        return f"{self.root}scores/"

    def scores(self, version: str) -> str:
        """Return the prefix of the cached scores of a version.

        :mod:`modelmonitor_trainer.check.stored_scores` names the objects below it.
        """
        return f"{self.all_scores}{version}/"
