"""Findings about the data on the object store: partitions that are missing, empty, misnamed or old, and columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.check.sources.declared_columns import find_missing, find_type_problems, types_of_newest
from modelmonitor_trainer.cluster.doctor.findings import Finding, fine, problem, warning
from modelmonitor_trainer.cluster.page import full_stop
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.data.partition_template import PartitionTemplate
from modelmonitor_trainer.data.windows import (
    Partition,
    batches_of_partitions,
    folders_without_day,
    last_whole_day,
    latest_partition,
    survey_partitions,
)
from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.storage.base import Store
from modelmonitor_trainer.text import listed

#: Days without new rows after which the data are called old.
_OLD_DAYS = 3


def find_in_data(store: Store, spec: ModelMonitorSpec, now: dt.datetime, edit: str) -> Iterator[Finding]:
    """Yield what is wrong with the partitions and the columns of a monitor.

    Parameters
    ----------
    store
        Its object store.
    spec
        Its spec.
    now
        The time.
    edit
        Command that changes the spec.
    """
    yield from _reading("Live data", _partitions, store, spec, now, edit)
    if spec.data.labels is not None:
        yield from _reading("Labels", _partitions_of_labels, store, spec, now, edit)
    if spec.data.reference is not None:
        yield from _reading("Reference", _reference, store, spec, now, edit)
    yield from _reading("Columns", _columns, store, spec, now, edit)


#: An examination of the data: of a store, a spec, at a time; with the command that changes the spec.
_Examination = Callable[[Store, ModelMonitorSpec, dt.datetime, str], Iterator[Finding]]


def _reading(
    subject: str, examine: _Examination, store: Store, spec: ModelMonitorSpec, now: dt.datetime, edit: str
) -> Iterator[Finding]:
    """Yield what an examination finds; that the store refuses it is a finding as well."""
    try:
        yield from list(examine(store, spec, now, edit))
    except ModelMonitorError as error:
        yield problem(subject, f"They cannot be read ({error.reason}): {full_stop(str(error))}", edit)


def _partitions(store: Store, spec: ModelMonitorSpec, now: dt.datetime, edit: str) -> Iterator[Finding]:
    yield from _of_uri("Live data", store, spec.data.live.uri, now, "spec.data.live.uri", edit)


def _partitions_of_labels(store: Store, spec: ModelMonitorSpec, now: dt.datetime, edit: str) -> Iterator[Finding]:
    assert spec.data.labels is not None
    yield from _of_uri("Labels", store, spec.data.labels.uri, now, "spec.data.labels.uri", edit)


def _of_uri(subject: str, store: Store, uri: str, now: dt.datetime, field: str, edit: str) -> Iterator[Finding]:
    folders = folders_without_day(store, uri)
    misnamed = [item for item in folders if item.reason is LeftOutReason.NOT_A_DAY]
    newest = latest_partition(store, uri, until=last_whole_day(now))
    if newest is None:
        yield _nothing(subject, store, uri, folders, field, edit)
        return
    start = newest - dt.timedelta(days=27)
    survey = survey_partitions(store, uri, start, newest)
    yield from _empty(subject, survey.partitions, uri)
    unread = [item for item in survey.left_out if item.reason is not LeftOutReason.MARKER]
    if unread:
        names = listed([_name(item) for item in unread], 3)
        yield warning(subject, f"{_count(unread, 'object')} in its partitions that no check reads: {names}.", edit)
    if misnamed:
        names = listed([_name(item) for item in misnamed], 3)
        yield warning(
            subject, f"{_count(misnamed, 'folder')} beside its partitions whose name is no day: {names}.", edit
        )
    age = (now.astimezone(dt.UTC).date() - newest).days
    days = {partition.day for partition in survey.partitions}
    gaps = [str(day) for day in _days(min(days), newest) if day not in days]
    if gaps:
        yield warning(subject, f"Days without a partition among the last 28: {listed(gaps, 5)}.")
    if age > _OLD_DAYS:
        yield warning(subject, f"The newest partition is of {newest}, {age} days ago. Does the writer still run?")
    else:
        yield fine(subject, f"The newest partition is of {newest}; {len(days)} of the last 28 days have one.")


def _nothing(subject: str, store: Store, uri: str, folders: Sequence[LeftOut], field: str, edit: str) -> Finding:
    """Return why a pattern matches nothing, by what is next to it."""
    template = PartitionTemplate.parse(uri)
    if folders:
        names = listed([_name(item) for item in folders], 4)
        return problem(subject, f"{field} matches nothing: {uri}. Beside it are the folders {names}.", edit)
    present = [name.removeprefix(template.folder).rstrip("/") for name in store.children(template.folder)]
    if present:
        return problem(
            subject, f"{field} matches no partition before today: {uri}. There are {listed(present, 4)}.", edit
        )
    above = template.folder.rstrip("/").rpartition("/")[0] + "/"
    siblings = [name.removeprefix(above).rstrip("/") for name in store.children(above)] if above.count("/") > 2 else []
    hint = f" {above} has {listed(siblings, 4)}." if siblings else ""
    return problem(subject, f"There is nothing under {template.folder} ({field}).{hint}", edit)


def _empty(subject: str, partitions: Sequence[Partition], uri: str) -> Iterator[Finding]:
    empty = [str(item.day) for item in partitions if not any(info.size for info in item.objects)]
    if empty:
        yield problem(
            subject,
            f"Partitions under {PartitionTemplate.parse(uri).folder} hold only empty objects: {listed(empty, 4)}.",
            "write them again, or delete them",
        )


def _reference(store: Store, spec: ModelMonitorSpec, _now: dt.datetime, edit: str) -> Iterator[Finding]:
    reference = spec.data.reference
    assert reference is not None
    survey = survey_partitions(store, spec.data.live.uri, reference.start, reference.end)
    wanted = (reference.end - reference.start).days + 1
    days = f"{reference.start} to {reference.end}"
    if not survey.partitions:
        yield problem("Reference", f"spec.data.reference ({days}) has no partition.", edit)
    elif 2 * len(survey.partitions) < wanted:
        yield warning(
            "Reference", f"Only {len(survey.partitions)} of its {wanted} days ({days}) have a partition.", edit
        )
    else:
        yield fine("Reference", f"{len(survey.partitions)} of its {wanted} days ({days}) have a partition.")


def _columns(store: Store, spec: ModelMonitorSpec, now: dt.datetime, edit: str) -> Iterator[Finding]:
    types = []
    for uri in (spec.data.live.uri, *((spec.data.labels.uri,) if spec.data.labels else ())):
        day = latest_partition(store, uri, until=last_whole_day(now))
        if day is None:
            return  # reported with the partitions
        newest = survey_partitions(store, uri, day, day).partitions
        columns = types_of_newest(store, spec, batches_of_partitions(newest))
        if columns is None:
            file = newest[-1].objects[-1].uri
            yield problem("Columns", f"The newest object cannot be read as a table: {file}.", "write it again")
            return
        types.append(columns)
    rows, labels = types[0], types[1] if len(types) > 1 else None
    problems, questions = find_type_problems(spec, rows)
    wrong = [*find_missing(spec, rows, labels), *problems]
    yield from (problem("Columns", full_stop(f"spec.{text}"), edit) for text in wrong)
    yield from (warning("Columns", full_stop(f"spec.{text}"), edit) for text in questions)
    if not wrong and not questions:
        yield fine("Columns", "The newest rows and labels have the columns that the spec declares.")


def _days(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    return (first + dt.timedelta(days=number) for number in range((last - first).days + 1))


def _count(items: Sequence[LeftOut], noun: str) -> str:
    return f"There {'is' if len(items) == 1 else 'are'} {len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _name(item: LeftOut) -> str:
    return item.name.rstrip("/").rpartition("/")[2]
