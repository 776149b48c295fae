"""Seeded data of the golden checks, written as Parquet, CSV and JSON Lines.

Values are rounded, so that the last bits of a mathematical library do not matter.
"""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write(path, columns, *, row_group_size=None):
    """Write columns in the format that the name of the file tells; NaN stays NaN, None is NULL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
        return
    rows = zip(*columns.values(), strict=True)
    if ".csv" in path.name:
        lines = [",".join(columns), *(",".join(map(_csv, row)) for row in rows)]
    else:
        named = (dict(zip(columns, row, strict=True)) for row in rows)
        lines = [json.dumps({name: value for name, value in row.items() if value != "absent"}) for row in named]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _csv(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) and ("," in value or " " in value) else str(value)


def with_nulls(g, values, share):
    """Return values of which a share is missing."""
    return [
        None if missing else value for value, missing in zip(list(values), g.random(len(values)) < share, strict=True)
    ]


def numbers(g, count, mean=0.0, deviation=1.0):
    """Return rounded normal numbers."""
    return np.round(g.normal(mean, deviation, count), 6)


def words(g, count, values, shares=None):
    """Return words drawn with shares."""
    return g.choice(values, count, p=shares).tolist()


def plain(g, count, *, shift=0.0, shares=(0.5, 0.3, 0.2), nulls=0.05, ties=6.0):
    """Return columns of every kind: numbers, whole numbers with ties, words, true and false."""
    return {
        "amount": with_nulls(g, numbers(g, count, shift), nulls),
        "steady": numbers(g, count, 10.0, 3.0).tolist(),
        "visits": g.poisson(ties, count).tolist(),
        "kind": with_nulls(g, words(g, count, ["a", "b", "c"], shares), 0.02),
        "member": (g.random(count) < shares[0]).tolist(),
    }


def odd(g, count, *, shift=0.0, fresh=0):
    """Return columns that tests stumble over: ties, rare words, infinities and NaN, constants, long texts."""
    x = numbers(g, count, shift)
    x[::50] = np.nan
    x[1::200] = np.inf
    x[2::300] = -np.inf
    rare = np.minimum(g.zipf(1.3, count), 5000) + fresh
    return {
        "spikes": np.where(g.random(count) < 0.9, 0.0, np.round(g.exponential(5.0 + shift, count), 2)).tolist(),
        "wild": x.tolist(),
        "code": [f"code-{number}" for number in rare],
        "grade": (g.integers(0, 3, count) + (g.random(count) < shift / 4)).tolist(),
        "constant": [7.5] * count,
        "nothing": pa.nulls(count, pa.float64()),
        "whole": pa.array(g.integers(2**53, 2**53 + 10**6, count), pa.int64()),
        "flag": with_nulls(g, (g.random(count) < 0.5 + shift / 4).tolist(), 0.3),
        "text": [f"{'long ' * 60}{number}" for number in g.integers(0, 4, count)],
        "when": pa.array(g.integers(1356998400, 1388534400, count), pa.timestamp("s")),
    }


def judged(g, count, *, slope=1.5, bias=0.0, tie=0.6, task="binary"):
    """Return rows with an outcome and a prediction of it; `tie` is the correlation of the first two columns."""
    x = numbers(g, count)
    rows = {
        "x": x,
        "z": np.round(tie * x + np.sqrt(1 - tie**2) * g.normal(size=count), 6),
        "kind": words(g, count, ["north", "south", "west"]),
    }
    south = np.array([value == "south" for value in rows["kind"]])
    level = slope * x + 0.8 * south
    if task == "regression":
        outcome = np.round(level + g.normal(0, 0.5, count), 6)
        predicted = np.round(1.5 * x + 0.8 * south + bias, 6)
    elif task == "words":
        score = level + g.gumbel(size=count)
        outcome = np.where(score < 0, "low", np.where(score < 2, "middle", "high")).tolist()
        predicted = np.where(level + bias < 0, "low", np.where(level + bias < 2, "middle", "high")).tolist()
    else:
        outcome = g.random(count) < 1 / (1 + np.exp(-level))
        predicted = np.round(1 / (1 + np.exp(-(1.5 * x + 0.8 * south + bias))), 6)
    return rows | {"outcome": outcome, "score": predicted}
