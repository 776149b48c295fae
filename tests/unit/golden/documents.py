"""Runs the command line, and reduces what it writes to the numbers and decisions that must not change."""

import contextlib
import hashlib
import io
import json
import math
import os
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from modelmonitor_trainer.cli.main import main as run_command_line

HERE = Path(__file__).parent
UPDATE = "UPDATE_GOLDEN"

#: Fields that hold free text, times, costs, locations, or what depends on the versions of libraries.
DROPPED = frozenset(
    {
        "by",
        "bytes",
        "created",
        "environment",
        "etag",
        "files",
        "fittedSHA256",
        "libraries",
        "manifestSHA256",
        "message",
        "method",
        "metricTitle",
        "notes",
        "peakMemoryBytes",
        "predictionsSHA256",
        "promotedAt",
        "reportURI",
        "reproduce",
        "resultURI",
        "sentence",
        "since",
        "until",
        "size",
        "specSHA256",
        "time",
        "timings",
        "title",
        "trainSeconds",
        "undefined",
        "uri",
    }
)
#: Points of a curve that are written out; of more, only their sums.
LONGEST = 30
#: A fraction in the description of a profile.
_FRACTION = re.compile(rb'"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)"(?=[,}])')
_VERSION = re.compile(r"\bv(\d+)-[0-9a-f]{8}\b")


def main(*arguments):
    """Run the command line in this process; return its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command_line([str(argument) for argument in arguments])
    assert code in {0, 2}, err.getvalue()
    return int(code), out.getvalue()


def run(*arguments):
    """Run a command that prints JSON; return the exit code and, where it succeeds, the document."""
    code, out = main(*arguments, "--output", "json")
    return {"exitCode": code} | ({"document": json.loads(out)} if code == 0 else {})


def reduced(value, base="", *, names=()):
    """Return JSON data without free text, and with numbers of nine digits.

    Parameters
    ----------
    value
        The data.
    base
        Absolute path that is removed from texts.
    names
        Words that stay of the names of subjects, which are phrases around names of columns and values.
    """
    if isinstance(value, dict):
        kept = {key: reduced(item, base, names=names) for key, item in value.items() if key not in _dropped_of(value)}
        if isinstance(kept.get("objects"), list):
            kept["objects"] = len(kept["objects"])
        return _relation(kept, names) if {"subjects", "what"} <= kept.keys() else kept
    if isinstance(value, list):
        if len(value) > LONGEST and all(isinstance(item, list) for item in value):
            return {"points": len(value), "sums": [reduced(math.fsum(column)) for column in zip(*value, strict=True)]}
        return [reduced(item, base, names=names) for item in value]
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else repr(value)
    if isinstance(value, str):
        return _VERSION.sub(r"v\1", value.replace(f"file://{base}/", "").replace(f"{base}/", "") if base else value)
    return value


def _dropped_of(value):
    """Return the fields to drop of an object; some are text in one kind of object only."""
    if {"windows", "threshold"} <= value.keys():  # how limits were calibrated is a word of the API
        return DROPPED - {"method"}
    if {"name", "passed"} <= value.keys():  # a criterion of the gate
        return DROPPED | {"name"}
    if {"metric", "lastPeriod", "deviation"} <= value.keys():  # a row of a table of scores
        return DROPPED | {"metric"}
    return DROPPED


def _relation(relation, names):
    """Return a relation test without the phrases in it: of names of subjects, only columns and values."""
    words = re.compile(r"\b(" + "|".join(map(re.escape, sorted(names, key=len, reverse=True))) + r")\b")
    subjects = [item | {"name": words.findall(item["name"])} for item in relation["subjects"]]
    return {key: item for key, item in relation.items() if key != "what"} | {"subjects": subjects}


def kept_files(results, base):
    """Return what is kept of profiles, moments and plans: folder and kind → what the files hold.

    Names of these files are digests of locations, which differ from run to run; locations within them are replaced.
    """
    kept = {}
    for path in sorted(results.rglob("*")):
        folder = _VERSION.sub(r"v\1", path.relative_to(results).parent.as_posix())
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                kept[f"{folder}/{path.name}"] = [archive.read(name) for name in archive.namelist()]
        elif path.suffix in {".profile", ".moments"} or "plans" in folder.split("/"):
            kept.setdefault(f"{folder}/*{path.suffix}", []).append(path.read_bytes())
    return {folder: _held(contents, base) for folder, contents in sorted(kept.items())}


def _held(contents, base):
    """Return what files hold: digests of all but fractions, and sums of those, whose last bits depend on the machine.

    The second sum has weights, so that numbers cannot change places.
    """
    digests, sums = [], []
    for content in contents:
        exact, fractions = _split(content, str(base).encode())
        digests.append(hashlib.sha256(exact).hexdigest()[:24])
        finite = fractions[np.isfinite(fractions)]
        weights = np.sqrt(np.arange(1, finite.size + 1))
        sums.append((math.fsum(finite), math.fsum(finite * weights)))
    return {"digests": sorted(digests), "sums": [round(math.fsum(column), 6) for column in zip(*sums, strict=True)]}


def _split(content, base):
    """Return the bytes of a file without its fractions, and these.

    Profiles and moments are unpacked, because implementations of zlib compress the same bytes differently: a line of
    JSON names the arrays that follow. All else is exact.
    """
    try:
        description, _, rest = zlib.decompress(content).partition(b"\n")
    except zlib.error:
        return content.replace(base, b""), np.empty(0)
    exact = [_FRACTION.sub(b"", description).replace(base, b"")]
    fractions = [np.array(_FRACTION.findall(description), dtype=np.float64)]
    for _, kind, shape in json.loads(description)["arrays"]:
        size = math.prod(shape) * np.dtype(kind).itemsize
        array, rest = rest[:size], rest[size:]
        if kind == "<f8":
            fractions.append(np.frombuffer(array, kind))
        else:
            exact.append(array)
    return b"".join([*exact, rest]), np.concatenate(fractions)


def compare(name, document, *, digits=8):
    """Compare a document with the one that was written before, or write it if the environment requests it.

    Numbers that agree in so many significant digits are equal.
    """
    path = HERE / "expected" / f"{name}.json"
    # Once through JSON, so that both sides are made of the same types.
    document = json.loads(json.dumps(document, allow_nan=False))
    if os.environ.get(UPDATE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    assert path.is_file(), f"{path} does not exist; run with {UPDATE}=1"
    differences = list(_differences("", json.loads(path.read_text(encoding="utf-8")), document, 10.0**-digits))
    shown = "\n".join(differences[:20])
    assert not differences, f"{len(differences)} differences from {path.name} (expected → actual):\n{shown}"


def _differences(where, expected, actual, tolerance):
    """Yield where two documents differ, and how."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in sorted(expected.keys() | actual.keys()):
            if key not in actual or key not in expected:
                yield f"{where}.{key}: {'added' if key in actual else 'removed'}"
            else:
                yield from _differences(f"{where}.{key}", expected[key], actual[key], tolerance)
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            yield f"{where}: {len(expected)} items → {len(actual)} items"
        for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from _differences(f"{where}[{index}]", one, other, tolerance)
    elif _is_number(expected) and _is_number(actual) and float in {type(expected), type(actual)}:
        # Of p-values, however small, the order of magnitude counts; what else is as small is rounding.
        smallest = 0.0 if where.lower().endswith("pvalue") else 1e-12
        if not math.isclose(expected, actual, rel_tol=tolerance, abs_tol=smallest):
            yield f"{where}: {expected!r} → {actual!r}"
    elif expected != actual or type(expected) is not type(actual):
        yield f"{where}: {expected!r} → {actual!r}"


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
