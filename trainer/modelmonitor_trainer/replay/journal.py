"""Journal of a replay: each Job and its answer, in order, so that an interrupted replay resumes where it stopped.

Recorded answers hold for the data that they were given for, so a digest of these is kept beside them.
"""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelmonitor_api.messages import Answer, Malformed, decode_answer, encode_answer
from modelmonitor_api.times import format_time, parse_time
from modelmonitor_policy import PlannedJob
from modelmonitor_trainer.errors import BadConfiguration, BadData, DiskFull
from modelmonitor_trainer.replay.past_store import PastData


class Journal:
    """A file with one line per Job.

    The policy is a pure function of what happened, so a monitor whose Jobs are answered from the journal arrives in the
    state in which the replay was interrupted.

    Parameters
    ----------
    path
        The file; created with the first line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recorded = _read(path)

    def __len__(self) -> int:
        return len(self._recorded)

    def take(self, job: PlannedJob, time: dt.datetime) -> tuple[Answer, float] | None:
        """Return the recorded answer of the next Job and its processor seconds; None once all have been taken.

        Raises
        ------
        BadData
            If another Job comes next: the file has been changed, or is of another release.
        """
        recorded = next(self._recorded, None)
        if recorded is None:
            return None
        name, when, answer, seconds = recorded
        if (name, when) != (job.name, time):
            raise BadData(
                f"{self._path} records {name} at {format_time(when)}, where this release runs {job.name} at "
                f"{format_time(time)}; choose another folder with --results, or delete this one"
            )
        return answer, seconds

    def add(self, job: PlannedJob, time: dt.datetime, answer: Answer, seconds: float) -> None:
        """Record a Job.

        Raises
        ------
        DiskFull
            If there is no space left.
        BadConfiguration
            If the file cannot be written for another reason.
        """
        line = {"time": format_time(time), "job": job.name, "seconds": round(seconds, 3)}
        line["answer"] = json.loads(encode_answer(answer))
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        with _writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make the folder of a file that is about to be written, and report what prevents it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no space is left for {path}; free some, and run again") from error
        raise BadConfiguration(
            f"{path} cannot be written: {error.strerror}; choose another folder with --results"
        ) from error


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold the folder of a replay: two at once would mix the lines of their journals.

    The lock ends with the process, however it ends, and leaves no file behind.

    Raises
    ------
    BadConfiguration
        If another replay holds it, or it cannot be written.
    DiskFull
        If there is no space left.
    """
    settings = folder / "settings"
    with _writing(settings):
        settings.mkdir(exist_ok=True)
        handle = os.open(settings, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise BadConfiguration(
            f"another replay is running in {folder}; wait until it has ended, or choose another folder with --results"
        ) from error
    try:
        yield
    finally:
        os.close(handle)


def require_same_data(path: Path, data: PastData, end: dt.datetime) -> None:
    """Require the data that the recorded Jobs have seen, and record those of this range.

    Parameters
    ----------
    path
        File with the digest of the data, and the time up to which they had arrived; created if it does not exist.
    data
        The data as they are now.
    end
        End of the range.

    Raises
    ------
    BadData
        If objects that had arrived by then have been replaced, removed or added since.
    DiskFull, BadConfiguration
        If the file cannot be written.
    """
    if path.exists():
        try:
            recorded = json.loads(path.read_text(encoding="utf-8"))
            seen, digest = parse_time(recorded["end"]), recorded["digest"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(f"{path} is damaged; choose another folder with --results, or delete this one") from error
        if data.digest(seen) != digest:
            raise BadData(
                f"the data that had arrived by {seen:%Y-%m-%d} have changed since {path.parent} was written; choose "
                "another folder with --results, or delete this one"
            )
        if end <= seen:
            return
    record = json.dumps({"end": format_time(end), "digest": data.digest(end)})
    # A full disk or a crash must not leave half a file, which would be taken for a damaged one.
    new = path.with_suffix(".new")
    with _writing(path):
        new.write_text(record, encoding="utf-8")
        new.replace(path)


_Line = tuple[str, dt.datetime, Answer, float]


class _Recorded(Iterator[_Line]):
    """The lines that have not been taken yet."""

    def __init__(self, lines: list[_Line]) -> None:
        self._lines, self._next = lines, 0

    def __next__(self) -> _Line:
        if self._next == len(self._lines):
            raise StopIteration
        self._next += 1
        return self._lines[self._next - 1]

    def __len__(self) -> int:
        return len(self._lines) - self._next


def _read(path: Path) -> _Recorded:
    """Return the recorded Jobs; a last line that was cut by a crash is removed."""
    if not path.exists():
        return _Recorded([])
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())
    lines = []
    # Names and values from data can contain other line separators, such as U+2028.
    for number, text in enumerate(whole.decode("utf-8").split("\n")[:-1], 1):
        try:
            line = json.loads(text)
            answer = decode_answer(json.dumps(line["answer"]))
            lines.append((line["job"], parse_time(line["time"]), answer, float(line["seconds"])))
        except (ValueError, KeyError, TypeError, Malformed) as error:
            raise BadData(f"{path}, line {number}, is damaged; choose another folder with --results") from error
    return _Recorded(lines)
