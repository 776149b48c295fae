"""What the name of an object shows: a marker of a job, a format, the ``key=value`` folders above it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from modelmonitor_api.spec import DataFormat

#: Suffix → format. A further suffix .gz is allowed.
FORMATS = {
    ".parquet": DataFormat.PARQUET,
    ".pq": DataFormat.PARQUET,
    ".csv": DataFormat.CSV,
    ".tsv": DataFormat.CSV,
    ".jsonl": DataFormat.JSON_LINES,
    ".ndjson": DataFormat.JSON_LINES,
}
#: The value with which Hive and Spark name the folder of NULL.
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"

#: Endings of the names of files that come with data and hold none.
_NOT_DATA = re.compile(
    r"\.(md|rst|html?|pdf|png|jpe?g|svg|gif|py|ipynb|r|sql|sh|ya?ml|toml|ini|cfg|log|lock|xml|crc|md5|sha(1|256|512)|sig"
    r"|asc|sw[a-z]|bak|old|orig|part|partial|crdownload|download|filepart|lnk|url|whl|jar)"
)
#: Names without a suffix of such files.
_DOCUMENTS = frozenset({"readme", "license", "licence", "notice", "changelog", "makefile", "dockerfile", "manifest"})
#: Names that file managers write into each folder that they show.
_OF_DESKTOPS = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"})
#: Endings of the names of markers and of files that are being copied (Hadoop and its file systems).
_MARKERS = ("_$folder$", "._copying_", ".tmp", ".inprogress")
#: Where Kafka Connect, a Synology NAS, Windows and Linux keep files of their own.
_FOLDERS = frozenset({"+tmp", "@eadir", "$recycle.bin", "system volume information", "lost+found"})
_KEY = re.compile(r"([A-Za-z_][\w.-]*)=(.*)")


def is_marker(path: str) -> bool:
    """Whether a path below a folder is a marker or the unfinished output of a job, and not data.

    That is so if the name of a folder or of the file begins with a dot or with ``_``, unless the latter is a folder
    ``key=value``: the rule of Spark and Hive. Some programs have folders with other names.

    >>> is_marker("_temporary/0/part-1.parquet"), is_marker(".staging/x.csv"), is_marker("_key=1/part.parquet")
    (True, True, False)
    """
    parts = path.split("/")
    hidden = any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in parts)
    return hidden or not _FOLDERS.isdisjoint(map(str.lower, parts)) or parts[-1].lower().endswith(_MARKERS)


def suffix_of(uri: str) -> str:
    """Return the suffix of a name in lower case, without ``.gz``; empty if it has none.

    >>> suffix_of("s3://b/part-0.snappy.Parquet"), suffix_of("s3://b/rows.csv.gz"), suffix_of("s3://b.c/000000_0")
    ('.parquet', '.csv', '')
    """
    name = uri.rpartition("/")[2].lower().removesuffix(".gz")
    return f".{name.rpartition('.')[2]}" if "." in name else ""


def is_document(uri: str) -> bool:
    """Whether a name is that of a checksum, a document, or a copy that an editor made, and not of data.

    >>> is_document("a/README.md"), is_document("a/~$rows.csv"), is_document("a/rows.csv~"), is_document("a/rows.csv")
    (True, True, True, False)
    """
    name = uri.rpartition("/")[2].lower()
    backup = name.startswith("~") or name.endswith("~") or (name.startswith("#") and name.endswith("#"))
    return backup or _NOT_DATA.fullmatch(suffix_of(uri)) is not None or name in _DOCUMENTS | _OF_DESKTOPS


def folder_keys(path: str) -> dict[str, str | None]:
    """Return the ``key=value`` folders of a path as readers of such folders do: key → value, None for NULL.

    >>> folder_keys("region=eu/city=New%20York/part-0.parquet")
    {'region': 'eu', 'city': 'New York'}
    """
    matches = (_KEY.fullmatch(part) for part in path.split("/")[:-1])
    return {match[1]: None if match[2] == HIVE_NULL else unquote(match[2]) for match in matches if match}


_DATE = re.compile(r"(?:19|20)\d\d(?:[-_/.]?\d{1,2}){0,5}(?:[T _-]\d{1,2}(?::?\d\d){0,2}Z?)?")
_TIMES = re.compile(
    r"(?:\w+_)?(?:year|month|day|hour|minute|week|quarter|date|dates|datetime|time|timestamp|ts|dt|ds|yyyy|yy|mm|dd|hh"
    r"|ymd|yyyymmdd|yyyymm)",
    re.IGNORECASE,
)


def is_time(key: str, values: Sequence[str | None]) -> bool:
    """Whether the values of a key of folders are times: dates, or numbers of a key such as ``month``.

    >>> is_time("dt", ["2024-01-05", "20240106"]), is_time("month", ["1", "12"]), is_time("region", ["eu", "us"])
    (True, True, False)
    """
    texts = [value for value in values if value is not None]
    if not texts:
        return False
    return all(map(_DATE.fullmatch, texts)) or (_TIMES.fullmatch(key) is not None and all(map(str.isdecimal, texts)))
