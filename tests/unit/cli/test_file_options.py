"""Which columns of files are compared, and as what: from the data, and by options of the command line."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import shlex
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main

ROWS = 2000


class FileCheck:
    """Checks files of a folder, and returns the exit code with the result as JSON or the error."""

    def __init__(self, folder, capsys):
        self.folder, self._capsys = folder, capsys

    def __call__(self, *more, reference="reference", current="current"):
        code = main(["check", "--reference", reference, "--current", current, "--output", "json", *more])
        captured = self._capsys.readouterr()
        return code, json.loads(captured.out) if code == 0 else captured.err


@pytest.fixture
def check(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return FileCheck(tmp_path, capsys)


def parquet(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def text(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows, ""]))


def numbers(seed, rows=ROWS):
    return np.random.default_rng(seed).normal(size=rows)


def words(seed, *some):
    return np.random.default_rng(seed).choice(some or ("a", "b"), ROWS).tolist()


def columns_of(result):
    return {feature["name"]: feature["type"] for feature in result["features"]}


def test_columns_are_chosen_and_left_out(check):
    for seed, side in enumerate(("reference", "current")):
        parquet(check.folder / side / "0.parquet", x=numbers(seed), y=numbers(seed + 5), **{"a,b": words(seed)})
    assert set(columns_of(check()[1])) == {"x", "y", "a,b"}
    assert set(columns_of(check("--ignore", "x")[1])) == {"y", "a,b"}
    assert set(columns_of(check("--ignore", "x,y")[1])) == {"a,b"}
    assert set(columns_of(check("--ignore", "x", "--ignore", "a,b")[1])) == {"y"}
    assert set(columns_of(check("--columns", "x", "--columns", "a,b")[1])) == {"x", "a,b"}
    assert set(columns_of(check("--columns", "x, y")[1])) == {"x", "y"}
    code, result = check("--columns", "x", "--target", "y")
    assert (code, set(columns_of(result))) == (0, {"x", "y"}), "the target is compared as well"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--ignore", "q"], "--ignore 'q' is not a column of"),
        (["--columns", "x,q"], "--columns 'q' is not a column of"),
        (["--type", "q=Numeric"], "--type 'q' is not a column of"),
        (["--ignore", "x,w"], "is left to compare; check the file, --columns and --ignore"),
        (["--separator", ";"], "are for CSV; no file is CSV"),
    ],
)
def test_options_that_do_not_fit_are_refused(check, more, says):
    for side in ("reference", "current"):
        parquet(check.folder / side / "0.parquet", x=numbers(1), w=words(1))
    code, err = check(*more)
    assert code == 2
    assert says in err


def test_options_of_files_are_not_for_monitors(capsys):
    for more in (["--ignore", "x"], ["--separator", ";"], ["--format", "CSV"], ["--null-values", "-"]):
        assert main(["check", "-f", "monitor.yaml", *more]) == 2
        assert f"{more[0]} is for files" in capsys.readouterr().err
    for more in (["--type", "x"], ["--type", "x=Text"], ["--separator", "ab"]):
        with pytest.raises(SystemExit) as raised:
            main(["check", "--reference", "a", "--current", "b", *more])
        assert raised.value.code == 2
        capsys.readouterr()


def test_numbers_can_be_compared_as_categories(check):
    for side, prefix in (("reference", "00"), ("current", "0")):
        text(check.folder / f"{side}.csv", "zip,x", (f"{prefix}{i % 5},{i % 7}" for i in range(ROWS)))
    sides = {"reference": "reference.csv", "current": "current.csv"}
    assert check(**sides)[1]["verdict"] == "NoDrift"
    code, result = check("--type", "zip=Categorical", **sides)
    assert (code, columns_of(result)["zip"], result["verdict"]) == (0, "Categorical", "Drift")


def test_times_can_be_compared_as_categories(check):
    days = [dt.date(2013, 1, 1 + i % 3) for i in range(ROWS)]
    parquet(check.folder / "reference/0.parquet", day=pa.array(days), x=numbers(1))
    parquet(check.folder / "current/0.parquet", day=pa.array(days).cast(pa.timestamp("us")), x=numbers(2))
    assert columns_of(check()[1])["day"] == "Date"
    code, result = check("--type", "day=Categorical")
    assert (code, columns_of(result)["day"], result["verdict"]) == (0, "Categorical", "NoDrift")


def test_the_command_that_repeats_a_check_has_its_options(check):
    for side in ("reference", "current"):
        text(check.folder / f"{side}.csv", "x;w;v", (f"{i % 7};a;b" for i in range(ROWS)))
    given = ["--ignore", "v", "--type", "x=Categorical", "--separator", ";", "--null-values", "?", "--decimal", ","]
    code, result = check(*given, "--null-values=-", reference="reference.csv", current="current.csv")
    assert code == 0
    command = shlex.split(result["reproduce"])
    assert command[:6] == ["modelmonitor", "check", "--reference", "reference.csv", "--current", "current.csv"]
    for option, value in zip(given[::2], given[1::2], strict=True):
        assert command[command.index(option) + 1] == value
    assert "--null-values=-" in command


def test_the_index_of_pandas_is_left_out(check):
    frame = pd.DataFrame({"x": numbers(1, 2 * ROWS)}).sample(frac=1, random_state=1)
    for side, rows in (("reference", frame[frame.index < ROWS]), ("current", frame[frame.index >= ROWS])):
        (check.folder / side).mkdir()
        rows.to_parquet(check.folder / side / "0.parquet")
        rows.to_csv(check.folder / f"{side}.csv")
        rows.reset_index(names="Unnamed: 0").to_csv(check.folder / f"{side}2.csv", index=False)
    for sides in (
        {},
        {"reference": "reference.csv", "current": "current.csv"},
        {"reference": "reference2.csv", "current": "current2.csv"},
    ):
        code, result = check(**sides)
        assert (code, result["verdict"], set(columns_of(result))) == (0, "NoDrift", {"x"}), sides
        notes = " ".join(result["notes"])
        assert "pandas wrote them as the index" in notes or "one without a name" in notes
    code, result = check("--columns", "__index_level_0__")
    assert (code, set(columns_of(result))) == (0, {"__index_level_0__"})


def test_an_index_with_a_name_can_be_the_target(check):
    for seed, side in enumerate(("reference", "current")):
        (check.folder / side).mkdir()
        frame = pd.DataFrame({"x": numbers(seed), "store": words(seed)}).set_index("store")
        frame.to_parquet(check.folder / side / "0.parquet")
    assert set(columns_of(check()[1])) == {"x"}
    code, result = check("--target", "store")
    assert (code, set(columns_of(result))) == (0, {"x", "store"})


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_column_without_values_in_some_files(check, first):
    for seed, side in enumerate(("reference", "current")):
        for number in range(4):
            empty = number <= first
            coupons = pa.nulls(ROWS) if empty else pa.array(words(seed + number))
            parquet(check.folder / side / f"{number}.parquet", x=numbers(seed * 10 + number), coupon=coupons)
    code, result = check()
    assert (code, result["verdict"], columns_of(result)["coupon"]) == (0, "NoDrift", "Categorical"), result["message"]


def test_formats_can_be_mixed(check):
    parquet(check.folder / "reference/0.parquet", x=pa.array(range(ROWS)), w=words(1))
    text(check.folder / "current/0.csv", "x;w", (f"{i};{w}" for i, w in enumerate(words(2))))
    rows = (json.dumps({"x": i, "w": w}) for i, w in enumerate(words(3)))
    text(check.folder / "current/1.json", next(rows), rows)
    code, result = check()
    assert (code, result["verdict"]) == (0, "NoDrift"), result
    assert any("several formats: CSV (1), JSONLines (1), Parquet (1)" in note for note in result["notes"])
    assert any("the separator is ';'" in note for note in result["notes"])


def test_the_format_can_be_declared(check):
    for seed, side in enumerate(("reference", "current")):
        text(
            check.folder / side / "part-0000",
            "x,w",
            (f"{x},{w}" for x, w in zip(numbers(seed), words(seed), strict=True)),
        )
        text(check.folder / side / "part-0001", "x,w", map("{},b".format, numbers(seed + 5)))
    assert check("--format", "CSV")[1]["rows"] == {"reference": 2 * ROWS, "current": 2 * ROWS}
    code, err = check("--format", "Parquet")
    assert code == 2
    assert "cannot be read as Parquet" in err


def test_what_must_be_declared_is_asked_for_on_either_side(check):
    good = ((f"{i}", f"{i}.5") for i in range(ROWS))
    text(check.folder / "good.csv", "k;x", map(";".join, good))
    text(check.folder / "unsure.csv", "k;x", (f"{i};{1 + i % 9},{500 + i % 400}" for i in range(ROWS)))
    for sides in (("good.csv", "unsure.csv"), ("unsure.csv", "good.csv")):
        code, err = check(reference=sides[0], current=sides[1])
        assert code == 2
        assert "unsure.csv cannot be read as CSV: the numbers of column 'x'" in err
        assert "--decimal" in err


def test_a_json_document_is_named(check):
    text(check.folder / "a.json", "[", ['{"x": 1},', '{"x": 2}', "]"])
    code, err = check(reference="a.json", current="a.json")
    assert code == 2
    assert "write one object per line" in err


def test_text_that_is_not_utf8_is_compared_and_noted(check):
    for side, name in (("reference", "Köln"), ("current", "Bonn")):
        data = pa.array([name.encode("latin-1"), b"Ulm"] * (ROWS // 2), pa.binary())
        city = pa.Array.from_buffers(pa.string(), ROWS, data.buffers())
        parquet(check.folder / side / "0.parquet", x=numbers(1), city=city)
    code, result = check("--independent-rows")
    assert (code, result["verdict"]) == (0, "Drift")
    assert any("Text of 'city'" in note and "is not UTF-8" in note for note in result["notes"])


def test_bytes_are_compared_if_they_are_text(check):
    for seed, side in enumerate(("reference", "current")):
        parquet(
            check.folder / side / "0.parquet",
            x=numbers(seed),
            city=pa.array([word.encode() for word in words(seed)]),
            image=pa.array([bytes([255, index % 256]) for index in range(ROWS)]),
            digest=pa.array([bytes(8)] * ROWS, pa.binary(8)),
        )
    code, result = check()
    assert (code, result["verdict"], columns_of(result)) == (0, "Inconclusive", {"x": "Numeric", "city": "Categorical"})
    assert any("bytes that are not text: digest, image." in note for note in result["notes"])
    assert check("--ignore", "digest,image")[1]["verdict"] == "NoDrift"


@pytest.mark.parametrize("kind", ["row numbers", "seconds", "many files", "runs", "dates as numbers", "dates"])
def test_columns_that_only_grow_are_named(check, kind):
    g = np.random.default_rng(1)

    def values(start):
        if kind == "row numbers":
            return pa.array(g.permutation(np.arange(start, start + ROWS)))
        if kind == "seconds":
            return pa.array(1.7e9 + np.sort(g.uniform(start, start + ROWS, ROWS)))
        if kind == "many files":
            return pa.array(start + g.exponential(50, ROWS).clip(0, ROWS - 1))
        if kind == "runs":
            return pa.array([start // ROWS] * ROWS)
        if kind == "dates as numbers":
            return pa.array([20_260_101 + 100 * (start // ROWS) + int(day) for day in g.integers(0, 28, ROWS)])
        first = dt.date(2013, 1, 1) + dt.timedelta(start // 100)
        return pa.array([(first + dt.timedelta(int(day))).isoformat() for day in g.integers(0, 20, ROWS)])

    for side, numbers_of_files in (("reference", range(4)), ("current", range(4, 5))):
        for number in numbers_of_files:
            parquet(check.folder / side / f"{number}.parquet", x=numbers(number), grows=values(number * ROWS))
    code, result = check()
    assert code == 0
    if kind == "dates":
        assert any("grows (2013-" in note and "It grows with the data" in note for note in result["notes"])
        assert result["verdict"] == "NoDrift"
        return
    assert any("grows continue where the reference ends" in n and "--ignore grows" in n for n in result["notes"])
    assert check("--ignore", "grows")[1]["verdict"] == "NoDrift"


def test_columns_that_grow_are_left_out_by_the_option_that_the_note_prints(check):
    for side, first in (("reference", 0), ("current", ROWS)):
        row = np.arange(first, first + ROWS)
        parquet(check.folder / side / "0.parquet", x=numbers(first), **{"row id": row, "number": 2 * row})
    (note,) = [note for note in check()[1]["notes"] if "continue where the reference ends" in note]
    options = shlex.split(note.rpartition(": ")[2])
    assert set(columns_of(check(*options)[1])) == {"x"}


def test_a_column_that_moved_has_not_grown(check):
    for number, side in enumerate(("reference", "current")):
        parquet(
            check.folder / side / "0.parquet",
            moved=numbers(number) + 50 * number,
            uniform=np.random.default_rng(number).uniform(size=ROWS) + 2 * number,
            amount=20_260_199 + 1000 * number + np.arange(ROWS) % 7,
            code=words(number, *(("a", "b") if number else ("c", "d"))),
        )
    code, result = check()
    assert (code, result["verdict"]) == (0, "Drift")
    assert not any("continue where the reference ends" in note for note in result["notes"])


def test_the_word_that_is_no_number_is_named(check):
    text(check.folder / "reference.csv", "x,k", (f"{i % 50},1" for i in range(ROWS)))
    text(check.folder / "current.csv", "x,k", (f"{'ten' if i in {10, 20} else i % 50},1" for i in range(ROWS)))
    code, result = check(reference="reference.csv", current="current.csv")
    assert (code, result["verdict"]) == (0, "Corrupted")
    assert "column 'x' holds text ('ten' in 2 rows), where the reference holds numbers" in result["message"]
    code, result = check("--null-values", "ten", reference="reference.csv", current="current.csv")
    assert (code, result["verdict"]) == (0, "NoDrift")


@pytest.mark.parametrize("now", [pa.int64(), pa.float64(), pa.string(), pa.decimal128(5, 1)])
def test_categories_of_another_type_are_the_same_categories(check, now):
    codes = np.random.default_rng(1).integers(1, 6, ROWS)
    parquet(check.folder / "reference/0.parquet", x=numbers(1), store=pa.array(codes).cast(pa.string()))
    column = pa.array(codes.tolist(), pa.int64())
    parquet(check.folder / "current/0.parquet", x=numbers(2), store=column.cast(pa.float64()).cast(now, safe=False))
    code, result = check()
    assert (code, result["verdict"]) == (0, "NoDrift"), result["message"]
    parquet(check.folder / "current/0.parquet", x=numbers(2), store=pa.array(codes + 10))
    assert check()[1]["verdict"] == "Drift"


def grouped(seed, mark=".", last=""):
    values = np.random.default_rng(seed).integers(1000, 1_000_000, ROWS)
    return [f"{i};{value:,}".replace(",", mark) for i, value in enumerate(values)] + ([f"0;{last}"] if last else [])


@pytest.mark.parametrize("last", ["1.234.567", "12,5"])
@pytest.mark.parametrize("shown_by", ["reference/0.csv", "reference/3.csv", "current/1.csv"])
def test_a_file_shows_the_decimal_mark_of_all_others(check, last, shown_by):
    for seed, name in enumerate(["reference/0.csv", "reference/3.csv", "current/0.csv", "current/1.csv"]):
        text(check.folder / name, "k;x", grouped(seed, last=last if name == shown_by else ""))
    code, result = check("--ignore", "k")
    assert (code, result["verdict"]) == (0, "NoDrift"), result
    [column] = result["features"]
    assert column["statistics"]["reference"]["mean"] > 100_000
    assert any("The marks in 'x'" in note and "are read as in the other files" in note for note in result["notes"])


def test_points_that_no_file_explains_are_decimal_points_and_noted(check):
    for seed, side in enumerate(("reference", "current")):
        text(check.folder / side / "0.csv", "k;x", grouped(seed))
    code, result = check("--ignore", "k")
    assert (code, result["verdict"]) == (0, "NoDrift"), result
    assert any("The points in 'x' can be decimal points or between thousands" in note for note in result["notes"])
    code, result = check("--ignore", "k", "--decimal", ",")
    assert not any("The points in 'x'" in note for note in result["notes"])


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_marks_that_would_change_the_scale_are_asked_for(check, form):
    values = np.random.default_rng(1).integers(1000, 1_000_000, ROWS)
    if form == "csv":
        text(check.folder / "plain/0.csv", "k;x", (f"1;{value}" for value in values))
    else:
        parquet(check.folder / "plain/0.parquet", k=pa.array([1] * ROWS), x=pa.array(values))
    text(check.folder / "grouped/0.csv", "k;x", grouped(1))
    for sides in (("plain", "grouped"), ("grouped", "plain")):
        code, err = check(reference=sides[0], current=sides[1])
        assert code == 2
        assert "grouped/0.csv cannot be read as CSV: the numbers of column 'x'" in err
        assert check("--decimal", ",", "--ignore", "k", reference=sides[0], current=sides[1])[1]["verdict"] == "NoDrift"


@pytest.mark.parametrize(
    "option", [["--target", "x"], ["--prediction", "x"], ["--type", "x=Numeric"], ["--columns", "x,w"]]
)
def test_a_column_that_is_asked_for_cannot_be_ignored(check, option):
    for seed, side in enumerate(("reference", "current")):
        parquet(check.folder / side / "0.parquet", x=numbers(seed), w=words(seed))
    code, err = check(*option, "--ignore", "x")
    assert code == 2
    assert f"{option[0]} and --ignore both name 'x'; remove one of them" in err


def test_files_of_desktops_and_editors_are_left_out(check):
    for seed, side in enumerate(("reference", "current")):
        parquet(check.folder / side / "0.parquet", x=numbers(seed))
        for name in (
            "Thumbs.db",
            "desktop.ini",
            ".DS_Store",
            "~x.parquet",
            "~$x.csv",
            "#x#",
            "x.csv~",
            "x.swp",
            "x.tmp",
        ):
            (check.folder / side / name).write_bytes(b"\0\1")
    code, result = check()
    assert (code, result["verdict"], result["rows"]["current"]) == (0, "NoDrift", ROWS)
    left_out = [name for group in result["coverage"]["objects"]["leftOut"] for name in group["names"]]
    assert len(left_out) == 18


@pytest.mark.parametrize("words_of_side", [("yes", "no"), ("Y", "N"), ("on", "off"), ("true", "false")])
def test_words_for_true_and_false_are_one_and_zero_among_numbers(check, words_of_side):
    flags = np.random.default_rng(1).random(ROWS) < 0.3
    parquet(check.folder / "numbers/0.parquet", x=numbers(1), f=pa.array(flags.astype(int)))
    parquet(check.folder / "words/0.parquet", x=numbers(2), f=pa.array(np.where(flags, *words_of_side).tolist()))
    for sides in (("numbers", "words"), ("words", "numbers")):
        code, result = check(reference=sides[0], current=sides[1])
        assert (code, result["verdict"]) == (0, "NoDrift"), result["message"]
    parquet(check.folder / "numbers/0.parquet", x=numbers(1), f=pa.array(flags.astype(int) + 1))
    assert check(reference="numbers", current="words")[1]["verdict"] == "Corrupted"


def test_numbers_as_text_are_numbers_in_both_directions(check):
    values = np.random.default_rng(1).normal(size=ROWS).tolist()
    parquet(check.folder / "numbers/0.parquet", x=pa.array(values))
    parquet(check.folder / "words/0.parquet", x=pa.array([str(value) for value in values[:-9]] + ["n.a."] * 9))
    for sides in (("numbers", "words"), ("words", "numbers")):
        code, result = check(reference=sides[0], current=sides[1])
        assert (code, result["verdict"], columns_of(result)) == (0, "NoDrift", {"x": "Numeric"}), result["message"]
        assert any("The numbers of 'x' in" in note and "are text" in note for note in result["notes"])
        assert any("'n.a.' count as missing values" in note for note in result["notes"])


def test_blanks_around_categories_are_removed_and_counted(check):
    for seed, side in enumerate(("reference", "current")):
        values = words(seed)
        text(check.folder / side / "0.csv", "w,k", (f"{word}{' ' * seed},1" for word in values))
    code, result = check()
    assert (code, result["verdict"]) == (0, "NoDrift"), result["message"]
    assert any(f"Blanks around values of 'w' were removed, in {ROWS:,} rows" in note for note in result["notes"])


def test_uuids_are_compared_however_they_are_written(check):
    devices = [uuid.uuid5(uuid.NAMESPACE_URL, str(number)) for number in range(3)]
    rows = [devices[index] for index in np.random.default_rng(1).integers(0, 3, ROWS)]
    ones = pa.array([1] * ROWS)
    parquet(check.folder / "bytes/0.parquet", d=pa.array([value.bytes for value in rows], pa.binary(16)), k=ones)
    parquet(check.folder / "binary/0.parquet", d=pa.array([value.bytes for value in rows], pa.binary()), k=ones)
    text(check.folder / "text/0.csv", "d,k", (f"{{{value}}},1" for value in rows))
    for reference, current in itertools.permutations(["bytes", "binary", "text"], 2):
        result = check("--ignore", "k", reference=reference, current=current)[1]
        assert (result["verdict"], columns_of(result)) == ("NoDrift", {"d": "Categorical"}), result["message"]
