"""Local files as an object store, with the ETags and conditional writes of S3."""

from __future__ import annotations

import builtins
import contextlib
import datetime as dt
import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from modelmonitor_trainer.errors import (
    BadConfiguration,
    CredentialsRefused,
    DiskFull,
    NotFound,
    PreconditionFailed,
    StorageUnavailable,
)
from modelmonitor_trainer.storage.base import ObjectInfo, Store, WriteRequest, changed, removed

_SCHEME = "file://"
#: Prefix of the names of files that are being written; never listed.
_UNFINISHED = ".modelmonitor-"
#: Largest size in bytes of a file whose ETag is the hash of its content.
_HASHED = 1024 * 1024
#: Device, inode, size and times of a file → SHA-256 of its content, of files that have not changed for a while.
_DIGESTS: dict[tuple[int, ...], str] = {}
_MOST_DIGESTS = 20_000
#: Nanoseconds, many ticks of the clock of any file system.
_TICKS = 10_000_000_000


def path_of(uri: str) -> Path:
    """Return the path that a file URI names."""
    return Path(uri.removeprefix(_SCHEME))


def uri_of(path: Path) -> str:
    """Return the file URI of a path, absolute."""
    return f"{_SCHEME}{path.absolute()}"


def to_uri(location: str) -> str:
    """Return a URI as it is, and the file URI of a path; a slash at the end stays."""
    return location if "://" in location else uri_of(Path(location)) + ("/" if location.endswith("/") else "")


@contextlib.contextmanager
def _translated_errors(uri: str) -> Iterator[None]:
    """Translate errors of the operating system."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"{uri} does not exist; check the path") from error
    except PermissionError as error:
        raise CredentialsRefused(f"{uri} cannot be accessed by this user; change its permissions") from error
    except IsADirectoryError as error:
        raise BadConfiguration(f"{uri} is a folder where a file is needed; add the file's name") from error
    except NotADirectoryError as error:
        raise BadConfiguration(f"{uri} has a file where a folder is needed; check the path") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no space is left for {uri}; free some, or write elsewhere") from error
        raise StorageUnavailable(f"{uri} cannot be accessed: {error.strerror}") from error


class LocalStore(Store):
    """A store over local folders.

    The ETag of a small file is the SHA-256 of its content, that of a large one its inode, times and size: hashing a
    file costs about a quarter of decoding it.
    """

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """Return the files whose URI begins with `prefix_uri`."""
        with _translated_errors(prefix_uri):
            return [self._info(path) for path in _walk(prefix_uri)]

    def children(self, prefix_uri: str) -> builtins.list[str]:
        """Return the files and folders one level below, or that begin with a partial name."""
        folder, start = _folder_and_start(prefix_uri)
        with _translated_errors(prefix_uri):
            if not folder.is_dir():
                return []
            base = prefix_uri[: len(prefix_uri) - len(start)]
            # Not with pathlib, which makes a path of each of the others, too.
            with os.scandir(folder) as entries:
                shown = [e for e in entries if e.name.startswith(start) and not e.name.startswith(_UNFINISHED)]
                return sorted(f"{base}{e.name}/" if e.is_dir() else f"{base}{e.name}" for e in shown)

    def head(self, uri: str) -> ObjectInfo | None:
        """Return the file, or None."""
        path = path_of(uri)
        with _translated_errors(uri):
            return self._info(path, uri) if path.is_file() else None

    def read(self, uri: str, *, etag: str | None = None) -> bytes:
        """Return the content of a file."""
        try:
            data, present = self.read_versioned(uri)
        except NotFound as error:
            if etag is None:
                raise
            raise removed(uri) from error
        if etag is not None and present != etag:
            raise changed(uri)
        return data

    def read_versioned(self, uri: str) -> tuple[bytes, str]:
        """Return the content of a file and its ETag."""
        with _translated_errors(uri), path_of(uri).open("rb") as file:
            etag = _etag(file)
            return file.read(), etag

    def open(self, info: ObjectInfo) -> BinaryIO:
        """Return the file if it is still the one that was listed.

        Writes replace a file by renaming, so an open file keeps its content.
        """
        try:
            with _translated_errors(info.uri):
                file = path_of(info.uri).open("rb")
                if _etag(file) != info.etag:
                    file.close()
                    raise changed(info.uri)
                return file
        except NotFound as error:
            raise removed(info.uri) from error

    def ahead(self, objects: Sequence[ObjectInfo]) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002 - local
        """Do nothing: local files need no read-ahead."""
        return contextlib.nullcontext()

    def write_behind(self, uri: str, data: bytes) -> None:
        """Write a file immediately."""
        self.write(uri, data)

    def put(self, request: WriteRequest) -> str:
        """Write a file by renaming; conditions are checked under a lock on its folder."""
        uri, if_match = request.uri, request.if_match
        path = path_of(uri)
        with _translated_errors(uri):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _lock_folder(path.parent):
                if request.if_absent and path.exists():
                    raise PreconditionFailed(f"{uri} already exists and is not overwritten")
                if if_match is not None and (not path.exists() or self._info(path).etag != if_match):
                    raise PreconditionFailed(f"{uri} has been changed by another process since it was read")
                _replace(path, request.data)
                return self._info(path).etag

    def delete(self, uri: str) -> None:
        """Remove a file."""
        with _translated_errors(uri):
            path_of(uri).unlink(missing_ok=True)

    def require_conditional_writes(self, prefix_uri: str) -> None:
        """Do nothing: the conditions are checked here, not by a server."""

    def _info(self, path: Path, uri: str | None = None) -> ObjectInfo:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return ObjectInfo(
                uri=uri or f"{_SCHEME}{path}",
                etag=_etag(file),
                size=status.st_size,
                last_modified=dt.datetime.fromtimestamp(status.st_mtime, dt.UTC),
            )


def _etag(file: BufferedReader) -> str:
    """Return the ETag of an open file, whose position is at the beginning before and after.

    The writes of this module replace the file, which changes its inode; a write in place changes its times.
    """
    status = os.fstat(file.fileno())
    if status.st_size > _HASHED:
        return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}-{status.st_size:x}"
    identity = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    known = _DIGESTS.get(identity)
    if known is None:
        known = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        # Two writes within one tick of the clock of a file system leave the same times.
        if time.time_ns() - status.st_ctime_ns > _TICKS:
            if len(_DIGESTS) >= _MOST_DIGESTS:
                _DIGESTS.clear()
            _DIGESTS[identity] = known
    return known


def _folder_and_start(prefix_uri: str) -> tuple[Path, str]:
    """Return the folder of a prefix and the part of a name that follows it."""
    folder, _, start = prefix_uri.removeprefix(_SCHEME).rpartition("/")
    return Path(folder or ("/" if prefix_uri.startswith(f"{_SCHEME}/") else ".")), start


def _walk(prefix_uri: str) -> builtins.list[Path]:
    """Return the files below a prefix, in the order of their URIs."""
    folder, start = _folder_and_start(prefix_uri)
    if not folder.is_dir():
        return []
    paths: list[str] = []
    with os.scandir(folder) as entries:
        for top in entries:
            if top.name.startswith(start):
                paths += _files_below(top.path) if top.is_dir() else [top.path]
    # Paths are written without a dot for the folder of this process.
    return sorted((path for path in map(Path, paths) if not path.name.startswith(_UNFINISHED)), key=str)


def _files_below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, apart from those in links to folders and in folders without access."""
    with contextlib.suppress(PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path)
            elif entry.is_file():
                yield entry.path


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; no file is left behind."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:  # signals too: leave no partial file behind
        Path(name).unlink(missing_ok=True)
        raise
