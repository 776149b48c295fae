"""Generates data sets for the benchmarks: a reference and a current side with realistic columns, in zstd Parquet.

A: 1 million rows x 20 columns per side. B: 10 million x 20. C: 200 thousand x 500. The columns have light and heavy
tails, an offset, rounded prices, ties, zeros, NULLs, and strings of 5 to 10,000 values. n1, n5, n11 and c1 drift.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from shapes import SHAPES, SIDES, Shape


def make(name: str, folder: Path) -> None:
    """Generate a data set."""
    for side, label in enumerate(SIDES):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for file in range(SHAPES[name].files):
            _write(SHAPES[name], side, file, folder / label / f"part-{file}.parquet")
    (folder / "complete").touch()


def _write(shape: Shape, side: int, file: int, path: Path) -> None:
    draw, rows = np.random.default_rng([side, file]), shape.rows // shape.files
    table = _wide(draw, rows, side, shape.columns) if shape.columns > 20 else _mix_columns(draw, rows, side)
    pq.write_table(pa.table(table), path, compression="zstd", row_group_size=shape.group_rows)


def _wide(draw: np.random.Generator, rows: int, side: int, columns: int) -> dict[str, Any]:
    drifted = {0, 100, 200, 300} if side else set()
    return {f"x{number}": draw.normal(size=rows) + 0.2 * (number in drifted) for number in range(columns)}


def _mix_columns(draw: np.random.Generator, rows: int, side: int) -> dict[str, Any]:
    def nullable(values: Any, share: float) -> pa.Array:
        return pa.array(values, mask=draw.random(rows) < share)

    table: dict[str, Any] = {
        "n0": draw.normal(size=rows),
        "n1": draw.normal(size=rows) + 0.2 * side,
        "n2": draw.lognormal(size=rows),
        "n3": draw.standard_t(2, size=rows),
        "n4": draw.pareto(1.5, size=rows),
        "n5": draw.lognormal(sigma=1 + 0.15 * side, size=rows),
        "n6": np.round(draw.gamma(2, 20, size=rows), 2),
        "n7": 1e6 + draw.normal(size=rows) * 1e-3,
        "n8": nullable(draw.normal(size=rows), 0.05),
        "n9": nullable(draw.normal(size=rows), 0.2),
        "n10": draw.poisson(3, size=rows).astype(float),
        "n11": nullable(draw.normal(size=rows) + 0.1 * side, 0.05 + 0.03 * side),
        "n12": draw.exponential(size=rows),
        "n13": np.where(draw.random(rows) < 0.4, 0, draw.normal(size=rows)),
        "n14": draw.uniform(size=rows),
    }
    for number, values in enumerate((5, 20, 100, 1000, 10_000)):
        weights = 1 / np.arange(1, values + 1)
        if number == 1 and side:
            weights[0] += 0.08 * weights.sum()
        table[f"c{number}"] = np.char.add("v", draw.choice(values, rows, p=weights / weights.sum()).astype(str))
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    make(options.name, options.folder)
