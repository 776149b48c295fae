"""The data files of one side of a check of files: at a path, in a folder, or of a pattern; and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.data.formats import formats_of, has_several_rows
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.data.object_format import FileFormat
from modelmonitor_trainer.data.object_names import FORMATS, is_document, is_marker, suffix_of
from modelmonitor_trainer.data.path_pattern import Match, PathPattern
from modelmonitor_trainer.data.table_logs import files_of_tables
from modelmonitor_trainer.errors import BadConfiguration, NotFound
from modelmonitor_trainer.storage.base import ObjectInfo, Store
from modelmonitor_trainer.storage.local import to_uri


@dataclass(frozen=True)
class FileListing:
    """The data files of one side.

    Attributes
    ----------
    folder
        The folder that they are in, with a slash at the end; ``key=value`` folders below it can be columns.
    objects
        Data files, sorted by URI.
    formats
        The format of each, by URI.
    left_out
        Files and folders that are not read.
    selected_keys
        Keys of ``key=value`` folders whose values were selected.
    """

    folder: str
    objects: tuple[ObjectInfo, ...]
    formats: Mapping[str, DataFormat]
    left_out: tuple[LeftOut, ...] = ()
    selected_keys: frozenset[str] = frozenset()


def list_files(store: Store, where: str, declared: FileFormat | None = None) -> FileListing:
    """Return the data files at a path, a folder, a pattern or a URI; all are of the `declared` format, if there is one.

    Raises
    ------
    NotFound
        If there are none.
    BadConfiguration
        If none has a known format, or they belong to a table that is not supported.
    """
    uri = to_uri(where)
    pattern = PathPattern.of(uri)
    kind = declared.kind if declared is not None else None
    # The name of a local file may look like a pattern. On S3 a rejected listing is more informative than a HEAD.
    is_object = not uri.endswith("/") and (pattern is None or uri.startswith("file://"))
    single = store.head(uri) if is_object else None
    if single is not None:
        return _with_formats(store, uri.rpartition("/")[0] + "/", [single], [], where, requested=True, kind=kind)
    folder = uri.rstrip("/") + "/"
    listed = store.list(folder) if pattern is None or uri.startswith("file://") else []
    if pattern is None or listed:
        files = files_of_tables(store, folder, listed)
        data, left_out = _without_markers(files.objects, folder)
        return _with_formats(store, folder, data, [*left_out, *files.left_out], where, kind=kind)
    files = files_of_tables(store, pattern.folder, store.list(pattern.prefix))
    data, left_out = _matching(pattern, files.objects)
    left_out += [item for item in files.left_out if pattern.match(item.name)]
    return _with_formats(store, pattern.folder, data, left_out, where, keys=pattern.selected_keys, kind=kind)


def format_of(listings: Iterable[FileListing], declared: FileFormat) -> FileFormat:
    """Return the format of files: as declared, or that of each.

    Raises
    ------
    BadConfiguration
        If something is declared of CSV files and there are none.
    """
    known = {uri: fmt for listing in listings for uri, fmt in listing.formats.items()}
    if declared.csv.to_wire() and DataFormat.CSV not in known.values():
        raise BadConfiguration("--separator, --encoding, --decimal and --null-values are for CSV; no file is CSV")
    return replace(declared, known=known)


def _without_markers(objects: Iterable[ObjectInfo], folder: str) -> tuple[list[ObjectInfo], list[LeftOut]]:
    data: list[ObjectInfo] = []
    markers: list[LeftOut] = []
    for info in objects:
        if is_marker(info.uri.removeprefix(folder)):
            markers.append(LeftOut(LeftOutReason.MARKER, info.uri, info.size))
        else:
            data.append(info)
    return data, markers


def _matching(pattern: PathPattern, objects: Sequence[ObjectInfo]) -> tuple[list[ObjectInfo], list[LeftOut]]:
    """Return the objects that match a pattern: files, or those in folders where only folders match."""
    files: list[ObjectInfo] = []
    below: list[ObjectInfo] = []
    for info in objects:
        match = pattern.match(info.uri)
        # A pattern can name what begins with _ or a dot, but no marker is data.
        if match is Match.FILE and not is_marker(info.uri.rpartition("/")[2].lstrip("_.")):
            files.append(info)
        elif match is Match.BELOW:
            below.append(info)
    if any(not is_document(info.uri) for info in files) or not below:
        folders = sorted({pattern.matched_folder(info.uri) for info in below})
        return files, [LeftOut(LeftOutReason.OUTSIDE_PATTERN, folder) for folder in folders]
    data = files
    left_out: list[LeftOut] = []
    for info in below:
        some, markers = _without_markers([info], pattern.matched_folder(info.uri))
        data, left_out = data + some, left_out + markers
    return data, left_out


def _with_formats(
    store: Store,
    folder: str,
    objects: Sequence[ObjectInfo],
    left_out: Sequence[LeftOut],
    where: str,
    *,
    keys: frozenset[str] = frozenset(),
    requested: bool = False,
    kind: DataFormat | None = None,
) -> FileListing:
    """Return a listing with the formats of the files; those without a known one are left out.

    Raises
    ------
    NotFound, BadConfiguration
        If no file is left.
    """
    documents = [] if requested else [info for info in objects if is_document(info.uri)]
    rest = [info for info in objects if info not in documents]
    formats = formats_of(store, rest) if kind is None else {info.uri: _declared_format(kind, info) for info in rest}
    if kind is None and formats and not any(formats.values()) and suffix_of(next(iter(formats))) == ".json":
        raise BadConfiguration(f"{next(iter(formats))} is not JSON Lines; write one object per line")
    if kind is None and formats and not any(formats.values()):
        raise BadConfiguration(
            f"{next(iter(formats))} has an unknown type; set --format, or rename it to .parquet, .csv or .jsonl (or "
            ".gz of these)"
        )
    if not any(formats.values()):
        raise NotFound(f"there are no Parquet, CSV or JSON Lines files at {where}; check the path")
    # Settings and schemas next to data are often .json.
    named = {fmt for uri, fmt in formats.items() if fmt and suffix_of(uri) != ".json"}
    others = named - {DataFormat.JSON_LINES} if kind is None else set()
    data: dict[str, DataFormat] = {}
    unread = [LeftOut(LeftOutReason.NOT_DATA, info.uri, info.size) for info in documents]
    for info in (info for info in objects if info.uri in formats):
        fmt = formats[info.uri]
        json = bool(others) and suffix_of(info.uri) == ".json"
        is_settings = json and not (fmt is not None and has_several_rows(store, info))
        if fmt is not None and not is_settings:
            data[info.uri] = fmt
        elif is_settings:
            reason = LeftOutReason.NOT_DATA if fmt is None else LeftOutReason.OTHER_FORMAT
            unread.append(LeftOut(reason, info.uri, info.size))
        else:
            # Object stores have empty objects that stand for folders.
            reason = LeftOutReason.UNKNOWN_FORMAT if info.size else LeftOutReason.MARKER
            unread.append(LeftOut(reason, info.uri, info.size))
    chosen = tuple(info for info in objects if info.uri in data)
    return FileListing(folder, chosen, data, (*left_out, *unread), keys)


def _declared_format(kind: DataFormat, info: ObjectInfo) -> DataFormat | None:
    """Return the declared format of an object; None of an empty one that only stands for a folder."""
    return kind if info.size or suffix_of(info.uri) in FORMATS else None
