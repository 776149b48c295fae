"""What checks and trainings compute, frozen: verdicts, numbers, and the content of what they keep.

The tests drive the console script ``modelmonitor`` on seeded data and compare the documents that it prints and writes
with those under ``expected/``. Free text, times, costs, locations and digests that depend on versions of libraries are
left out (``documents.DROPPED``). Numbers are compared to eight significant digits, those of trained models to six.

Change the expected files only on purpose, and explain the change in the commit message::

    UPDATE_GOLDEN=1 python -m pytest tests/unit/golden

The table of false alarms and of power in ``docs/explanation/trust.md`` is frozen by its own generator under
``benchmarks``.
"""

import numpy as np
import pytest

from unit.golden import monitors, tables
from unit.golden.documents import compare, reduced, run

NAMES = ("x", "z", "kind", "north", "south", "west", "outcome", "score", "amount", "steady", "visits")

#: Fits end at a tolerance, so their numbers depend a little on the machine.
MODEL_DIGITS = 6


class Sides:
    """Two folders of files."""

    def __init__(self, folder, suffix="parquet"):
        self.folder = folder
        self.suffix = suffix

    def write(self, side, number, columns, **options):
        tables.write(self.folder / side / f"{number:03d}.{self.suffix}", columns, **options)

    def check(self, name, *options, names=NAMES):
        """Check, and compare the result with the stored one."""
        arguments = ("--reference", self.folder / "reference", "--current", self.folder / "current", *options)
        compare(name, reduced(run("check", *arguments), str(self.folder), names=names))


@pytest.fixture
def sides(tmp_path):
    """Folders for Parquet files."""
    return Sides(tmp_path)


def generator(*seed):
    """Return a generator of a scenario's own."""
    return np.random.default_rng(seed)


def uri_of(folder):
    """Return the URI of a folder."""
    return f"file://{folder}"


def oldest_version(monitor):
    """Return the name of a monitor's first version."""
    return min(path.name for path in (monitor.results / "versions").iterdir())


def test_files_without_drift(sides):
    sides.write("reference", 0, tables.plain(generator(1, 0), 4000), row_group_size=700)
    sides.write("current", 0, tables.plain(generator(1, 1), 3000))
    sides.check("files-no-drift")


def test_files_with_drift(sides):
    for number in range(3):
        sides.write("reference", number, tables.plain(generator(2, 0, number), 1500))
        moved = tables.plain(generator(2, 1, number), 1000, shift=0.3, shares=(0.35, 0.4, 0.25), nulls=0.15, ties=6.2)
        sides.write("current", number, moved, row_group_size=300)
    sides.check(
        "files-drift",
        "--independent-rows",
        "--false-alarms",
        "2/30d",
        "--checks-per-day",
        "24",
        "--minimum-effect",
        "0.05",
    )


def test_corrupted_files(sides):
    for number in range(3):
        sides.write("reference", number, tables.plain(generator(3, 0, number), 800))
    for number in range(4):
        columns = tables.plain(generator(3, 1, number), 800)
        if number == 1:
            del columns["steady"]
            columns["visits"] = [f"{value} times" for value in columns["visits"]]
        if number == 2:
            columns["amount"] = [1.25] * 800
        sides.write("current", number, columns)
    broken = sides.folder / "current/003.parquet"
    broken.write_bytes(broken.read_bytes()[:-100])
    sides.check("files-corrupted", "--independent-rows")


def test_too_few_rows(sides):
    sides.write("reference", 0, tables.plain(generator(4, 0), 60))
    sides.write("current", 0, tables.plain(generator(4, 1), 40))
    sides.check("files-inconclusive")


def test_nothing_to_compare_with(sides):
    sides.write("reference", 0, {"x": np.empty(0)})
    sides.write("current", 0, {"x": np.arange(50.0)})
    sides.check("files-empty-reference")


def test_files_of_many_days(sides):
    """Files that differ among themselves, as days do, so that limits are calibrated on them."""
    days = generator(5, 2).normal(0, 0.15, 40)
    for number in range(28):
        weekend = number % 7 > 4
        shares = (0.35, 0.45, 0.2) if weekend else (0.5, 0.3, 0.2)
        columns = tables.plain(generator(5, 0, number), 250, shift=days[number], shares=shares)
        sides.write("reference", number, columns)
    for number in range(7):
        columns = tables.plain(generator(5, 1, number), 250, shift=days[30 + number] + 0.05, ties=7.5)
        sides.write("current", number, columns)
    sides.check("files-calibrated", "--correlations")


def test_outcomes_and_predictions(sides):
    for number in range(22):
        sides.write("reference", number, tables.judged(generator(6, 0, number), 100))
    for number in range(6):
        sides.write("current", number, tables.judged(generator(6, 1, number), 150, slope=0.4, bias=0.7, tie=0.1))
    sides.check("files-binary", "--target", "outcome", "--prediction", "score", "--correlations")


@pytest.mark.parametrize("task", ["regression", "words"])
def test_other_outcomes(sides, task):
    for number in range(3):
        for side, slope, bias in (("reference", 1.5, 0.0), ("current", 0.9, 0.4)):
            columns = tables.judged(generator(7, side == "current", number), 250, slope=slope, bias=bias, task=task)
            if task == "words":  # models of several classes take long
                del columns["z"]
            sides.write(side, number, columns)
    options = ("--ablation",) if task == "words" else ()
    sides.check(f"files-{task}", "--target", "outcome", "--prediction", "score", *options)


@pytest.mark.parametrize(("shift", "fresh"), [(0.0, 0), (0.6, 40)])
def test_odd_values(sides, shift, fresh):
    sides.write("reference", 0, tables.odd(generator(8, 0), 6000), row_group_size=2500)
    sides.write("current", 0, tables.odd(generator(8, 1), 4000, shift=shift, fresh=fresh))
    sides.check(f"files-odd-{fresh}")


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl"])
def test_files_of_text(tmp_path, suffix):
    sides = Sides(tmp_path, suffix)
    for number in range(2):
        g = generator(9, 0, number)
        columns = tables.plain(g, 1200) | {"place": tables.words(g, 1200, ["Paris, France", "New York", "Rome"])}
        sides.write("reference", number, columns)
        g = generator(9, 1, number)
        columns = tables.plain(g, 900, shift=0.1) | {"place": tables.words(g, 900, ["Paris, France", "Rome"])}
        if number == 1:
            columns["visits"][5] = "many" if suffix == "csv" else None
            columns["steady"][7] = "absent" if suffix == "jsonl" else None
        sides.write("current", number, columns)
    sides.check(f"files-{suffix.replace('.', '-')}")


def test_references_that_cannot_be_used(sides):
    sides.write("reference", 0, {"x": np.arange(50.0)})
    sides.write("reference", 1, {"x": ["one", "two"]})
    sides.write("current", 0, {"x": np.arange(50.0)})
    sides.check("files-refused")


@pytest.mark.parametrize("broken", [False, True])
def test_a_monitor_of_a_contract(tmp_path, broken):
    monitor = monitors.contract(tmp_path, uri_of(tmp_path))
    for day in range(1, 22):
        if broken and day == 17:
            continue
        g = generator(10, day)
        columns = tables.plain(g, 40 if broken and day == 20 else 240)
        if broken:
            break_contract(day, columns)
        monitor.land(day, columns | {"outcome": monitors.outcomes_of(g, columns)})
    result = {"check": monitor.run("check", "--false-alarms", "1/365d"), "kept": monitor.kept()}
    compare("monitor-corrupted" if broken else "monitor-contract", result)


def break_contract(day, columns):
    """Break the contract of a day in the live window."""
    if day == 15:
        columns["amount"][3] = 99.0
        columns["kind"][4] = "d"
    if day == 16:
        columns["steady"][5] = None
        columns["member"] = [None] * 150 + columns["member"][150:]
    if day == 18:
        columns["visits"] = [3] * len(columns["visits"])
    if day == 19:
        columns["steady"] = [round(1.8 * value + 32, 6) for value in columns["steady"]]
    if day == 21:
        columns["amount"] = ["none" if value is None else str(value) for value in columns["amount"]]


def test_a_monitor_with_a_champion(tmp_path):
    monitor = monitors.binary(tmp_path, uri_of(tmp_path))
    for day in range(1, 33):
        monitor.land(day, tables.judged(generator(11, day), 100 + 10 * (day % 7)))
    monitor.detect("contract", "features", "target", "predictions", "bias", "correlations")
    first = monitor.run("check", names=NAMES)
    models = {"training": monitor.train()}
    for day in range(33, 45):
        monitor.land(day, tables.judged(generator(11, day), 150, slope=-0.5, bias=0.5, tie=0.2))
    monitor.champion_since(28)
    monitor.detect(*monitors.DETECTORS)
    models |= {"drifted": monitor.run("check", names=NAMES), "retraining": monitor.train()}
    compare("monitor-binary", {"check": first, "kept": monitor.kept()})
    compare("monitor-binary-models", models, digits=MODEL_DIGITS)


def test_a_monitor_of_a_regression(tmp_path):
    monitor = monitors.regression(tmp_path, uri_of(tmp_path))
    for day in range(1, 24):
        monitor.land(day, tables.judged(generator(12, day), 80, task="regression"))
    first = monitor.run("check", names=NAMES)
    models = {"training": monitor.train()}
    for day in range(24, 34):
        rows = tables.judged(generator(12, day), 80, slope=2.2, task="regression")
        monitor.land(day, rows | {"z": tables.with_nulls(generator(12, day, 1), rows["z"], 0.1)})
    models |= {"drifted": monitor.run("check", names=NAMES), "retraining": monitor.train()}
    for day in range(34, 40):
        monitor.land(day, tables.judged(generator(12, day), 80, task="regression"))
    models |= {"watched": monitor.run("check", names=NAMES), "guarded": monitor.train()}
    models["versions"] = monitor.run("versions")
    models["comparison"] = monitor.run("compare", "--version", oldest_version(monitor))
    models["rollback"] = monitor.run("rollback")
    compare("monitor-regression", {"check": first, "kept": monitor.kept()})
    compare("monitor-regression-models", models, digits=MODEL_DIGITS)


def test_a_monitor_of_many_classes(tmp_path):
    monitor = monitors.many_classes(tmp_path, uri_of(tmp_path))
    checks, trainings = {}, {}
    for step, days in {"first": range(1, 13), "second": range(13, 17)}.items():
        for day in days:
            monitor.land(day, tables.judged(generator(13, day), 120, slope=1 + day / 20, task="words"))
        checks[step] = monitor.run("check", names=NAMES)
        trainings[step] = monitor.train()
    monitor.land(15, tables.judged(generator(13, 15), 120, task="words"), repeats=40)
    checks["duplicates"] = monitor.run("check", names=NAMES)
    compare("monitor-many-classes", {"check": checks.pop("first"), "kept": monitor.kept()})
    compare("monitor-many-classes-models", {"checks": checks, "trainings": trainings}, digits=MODEL_DIGITS)


def test_names_of_what_is_kept(tmp_path, monkeypatch):
    """Names are digests of location and content, so relative locations and text files make them the same everywhere."""
    monkeypatch.chdir(tmp_path)
    monitor = monitors.contract(tmp_path, "file://lake")
    monitor.folder = tmp_path / "lake"
    monitor.detect("contract", "features", "correlations")
    for day in range(1, 22):
        g = generator(14, day)
        columns = tables.plain(g, 120)
        monitor.land(day, columns | {"outcome": monitors.outcomes_of(g, columns)})
    result = monitor.run("check", names=NAMES)
    names = [path.relative_to(monitor.results).as_posix() for path in monitor.results.rglob("*") if path.is_file()]
    kept = sorted(name for name in names if name.startswith("profiles/"))
    compare("monitor-names", {"check": result, "kept": kept})
