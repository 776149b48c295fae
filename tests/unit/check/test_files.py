"""Two sets of files: detectors that read rows, and files that cannot be compared."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer.check.detectors import correlation_drift
from modelmonitor_trainer.check.sources import files
from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.data.row_sampling import sample_batches
from modelmonitor_trainer.data.text_numbers import numbers_of
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store

ROWS = 4000


def table(seed, *, bias=0.0, together=0.0, broken=False):
    """Return rows whose outcome follows x, with predictions of it."""
    g = np.random.default_rng(seed)
    x, z = g.normal(size=ROWS), g.normal(size=ROWS)
    chance = 1 / (1 + np.exp(-2 * x))
    late = g.random(ROWS) < (1 - chance if broken else chance)
    z = together * x + np.sqrt(1 - together**2) * z
    columns = {"x": x, "z": z, "w": g.choice(["a", "b"], ROWS).tolist(), "late": late}
    return pa.table(columns | {"score": np.clip(chance + bias, 0, 1)})


class Folder:
    """A folder of two sides, each of some files, and checks of them."""

    def __init__(self, path, capsys):
        self.path, self.capsys = path, capsys

    def put(self, side, *tables, suffix="parquet"):
        (self.path / side).mkdir(exist_ok=True)
        for number, rows in enumerate(tables):
            write = pq.write_table if suffix == "parquet" else pyarrow.csv.write_csv
            write(rows, self.path / side / f"{number}.{suffix}")

    def check(self, *more, sides=("reference", "current")):
        inputs = ("--reference", f"{self.path}/{sides[0]}", "--current", f"{self.path}/{sides[1]}")
        code = main(["check", *inputs, "--output", "json", *more])
        captured = self.capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else {}, captured.err


@pytest.fixture
def folder(tmp_path, capsys):
    return Folder(tmp_path, capsys)


def outcome(result, name):
    return next(detector for detector in result["detectors"] if detector["name"] == name)


NAMED = ("--target", "late", "--prediction", "score")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_good_files_are_tested_by_every_detector_that_their_columns_allow(folder, suffix):
    folder.put("reference", table(1), table(2), suffix=suffix)
    folder.put("current", table(3), suffix=suffix)
    code, result, _ = folder.check(*NAMED)
    assert (code, result["verdict"]) == (0, "NoDrift"), result["message"]
    outcomes = {detector["name"]: detector["outcome"] for detector in result["detectors"]}
    assert outcomes == {
        "contract": "Kept",
        "features": "NoDrift",
        "target": "NoDrift",
        "predictions": "NoDrift",
        "bias": "NoDrift",
        "correlations": "NoDrift",
    }
    assert (
        "1 file as clusters, too few to show how much they vary, so what is usual is assumed"
        in outcome(result, "bias")["message"]
    )
    assert {"bias", "correlations"} <= result["timings"].keys()
    assert result["rows"] == {"reference": 2 * ROWS, "current": ROWS}


def test_biased_predictions(folder):
    folder.put("reference", table(1))
    folder.put("current", table(3, bias=0.1))
    _, result, _ = folder.check(*NAMED)
    assert outcome(result, "bias")["outcome"] != "Drift", "one file does not show how much files vary"
    _, result, _ = folder.check(*NAMED, "--independent-rows")
    assert (result["verdict"], outcome(result, "bias")["outcome"]) == ("Drift", "Drift")
    assert "mean prediction against mean outcome (outcome to prediction): all rows" in result["message"]


def test_biased_predictions_of_a_regression(folder):
    def values(seed, shift):
        rows = table(seed).select(["x", "z"])
        return rows.append_column("predicted", pa.array(np.asarray(rows["x"]) + shift))

    folder.put("reference", values(1, 0.0))
    folder.put("current", values(2, 0.3))
    _, result, _ = folder.check("--target", "x", "--prediction", "predicted")
    assert outcome(result, "bias")["outcome"] == "Drift"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (("--target", "w", "--prediction", "score"), "the target 'w' is text"),
        (("--target", "late", "--prediction", "w"), "'w' is string, not numeric"),
        (("--target", "late", "--prediction", "x"), "so they are not probabilities"),
    ],
)
def test_bias_that_cannot_be_tested_is_reported(folder, named, message):
    folder.put("reference", table(1))
    folder.put("current", table(2))
    code, result, _ = folder.check(*named)
    assert (code, outcome(result, "bias")["outcome"]) == (0, "NotTested")
    assert message in outcome(result, "bias")["message"]


def test_changed_correlations(folder):
    folder.put("reference", table(1))
    folder.put("current", table(2, together=0.5))
    _, result, _ = folder.check("--independent-rows")
    assert result["verdict"] == "Drift"
    assert "Relationships between columns have changed: Pearson correlations: x and z" in result["message"]
    assert [feature["name"] for feature in result["features"] if feature["drifted"]] == []


def test_correlations_of_many_rows_are_optional(folder, monkeypatch):
    monkeypatch.setattr(correlation_drift, "MAX_OPTIONAL_VALUES", ROWS)
    folder.put("reference", table(1))
    folder.put("current", table(2, together=0.5))
    _, result, _ = folder.check()
    assert (result["verdict"], outcome(result, "correlations")["outcome"]) == ("NoDrift", "NotTested")
    assert "request them with --correlations" in outcome(result, "correlations")["message"]
    _, result, _ = folder.check("--correlations", "--independent-rows")
    assert outcome(result, "correlations")["outcome"] == "Drift"
    assert result["reproduce"].endswith(" --correlations --independent-rows")


def test_sorted_files_of_different_lengths_do_not_change_correlations(folder):
    whole = pa.concat_tables([table(seed) for seed in range(4)])
    folder.put("reference", whole.sort_by("x").select(["x", "z"]))
    parts = pa.concat_tables([table(seed) for seed in range(10, 14)]).sort_by("x").select(["x", "z"])
    folder.put("current", *(parts.slice(start, ROWS) for start in range(0, 4 * ROWS, ROWS)))
    _, result, _ = folder.check("--independent-rows")
    assert result["verdict"] == "NoDrift", result["message"]


def test_one_column_of_numbers_has_no_correlations(folder):
    for side, seed in (("reference", 1), ("current", 2)):
        folder.put(side, table(seed).select(["x", "w"]))
    _, result, _ = folder.check()
    assert [detector["name"] for detector in result["detectors"]] == ["contract", "features"]
    assert "in 2 columns" in result["message"]
    _, result, _ = folder.check("--correlations")
    assert "fewer than two numeric columns vary" in outcome(result, "correlations")["message"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_ablation_names_the_weaker_relationship(folder, suffix):
    folder.put("reference", table(1), suffix=suffix)
    folder.put("current", table(2, broken=True), suffix=suffix)
    _, result, _ = folder.check("--target", "late", "--ablation", "--independent-rows")
    assert outcome(result, "ablation")["outcome"] == "Drift", outcome(result, "ablation")["message"]
    assert "x alone" in result["message"]
    assert outcome(result, "correlations")["outcome"] == "NoDrift"


def test_ablation_of_numbers_and_of_too_many_classes(folder):
    for side, seed in (("reference", 1), ("current", 2)):
        folder.put(side, table(seed).append_column("id", pa.array([f"r{number}" for number in range(ROWS)])))
    _, result, _ = folder.check("--target", "score", "--ablation", "--independent-rows")
    assert outcome(result, "ablation")["outcome"] == "NoDrift"
    _, result, _ = folder.check("--target", "id", "--ablation")
    assert "distinct values; at most 20 classes are supported" in outcome(result, "ablation")["message"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--ablation"], "set it with --target"),
        (["--target", "nothing"], "--target 'nothing' is not a column of"),
    ],
)
def test_incompatible_options(folder, more, message):
    folder.put("reference", table(1))
    folder.put("current", table(2))
    code, _, err = folder.check(*more)
    assert code == 2
    assert message in err


@pytest.mark.parametrize("option", [["--target", "y"], ["--prediction", "y"], ["--correlations"], ["--ablation"]])
def test_options_of_files_are_rejected_for_a_monitor(capsys, world, tmp_path, option):
    code = main(["check", "-f", world.manifest(tmp_path / "monitor.yaml"), *option])
    assert code == 2
    assert f"{option[0]} is for files" in capsys.readouterr().err


def test_a_reference_whose_files_disagree_on_a_type(folder):
    words = pa.array([f"{value} km" for value in table(1)["x"].to_pylist()])
    folder.put("reference", table(1), table(2).set_column(0, "x", words))
    folder.put("current", table(3))
    code, _, err = folder.check()
    assert code == 2
    assert "the files of the reference disagree on column 'x': numbers in file://" in err
    assert "reference/0.parquet, and text in file://" in err
    assert "reference/1.parquet; write it with one type" in err


def test_a_column_of_nulls_in_one_file_matches_any_type(folder):
    folder.put("reference", table(1), table(2).set_column(0, "x", pa.nulls(ROWS)))
    folder.put("current", table(3))
    assert folder.check()[0] == 0


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("bad", ["reference", "current"])
def test_two_columns_of_one_name(folder, suffix, bad):
    for side, seed in (("reference", 1), ("current", 2)):
        rows = table(seed).select(["x", "z", "w"])
        folder.put(side, rows.rename_columns(["x", "x", "w"]) if side == bad else rows, suffix=suffix)
    code, _, err = folder.check()
    assert code == 2
    assert f"{bad}/0.{suffix} has more than one column named 'x'; give each a unique name" in err


def test_a_file_on_both_sides_is_noted(folder):
    folder.put("reference", table(1))
    _, result, _ = folder.check(sides=("reference", "reference"))
    assert any(note.startswith("On both sides, which hides changes: file://") for note in result["notes"])


def test_messages_about_files_do_not_mention_monitors(folder):
    folder.put("reference", table(1))
    folder.put("current", table(2).slice(0, 30))
    _, few, _ = folder.check(*NAMED)
    assert few["message"].endswith("more rows are needed.")
    folder.put("current", table(2).drop_columns(["x"]))
    _, broken, _ = folder.check(*NAMED)
    assert broken["message"].startswith("The current files are corrupted, or do not match the reference: column 'x'")
    folder.put("current", table(2).set_column(4, "score", pa.nulls(ROWS, pa.float64())))
    _, empty, _ = folder.check(*NAMED)
    for result in (few, broken, empty):
        texts = json.dumps({key: result[key] for key in ("message", "notes", "detectors")})
        assert "live" not in texts
        assert "partition" not in texts
        assert "training" not in texts


def test_a_sample_has_whole_rows_from_all_parts_of_the_files(tmp_path):
    store = open_store(None)
    numbers = np.arange(30_000)
    rows = pa.table({"n": numbers, "minus": -numbers.astype(float), "w": [f"v{n}" for n in numbers]})
    pq.write_table(rows.slice(0, 10_000), tmp_path / "a.parquet", row_group_size=700)
    pq.write_table(rows.slice(10_000), tmp_path / "b.parquet", row_group_size=20_000)
    objects = sorted(store.list(f"{uri_of(tmp_path)}/"), key=lambda info: info.uri)
    batches = [(Batch(info.uri, (info,)), count) for info, count in zip(objects, (10_000, 20_000), strict=True)]
    parts = list(sample_batches(store, batches, ["w", "n", "minus", "lacking"], DataFormat.PARQUET, 3000))
    assert [part.num_rows for part in parts] == [1000, 2000]
    for part, low, high in zip(parts, (0, 10_000), (10_000, 30_000), strict=True):
        n = numbers_of(part["n"])
        assert part["w"].to_pylist() == [f"v{int(value)}" for value in n]
        assert (numbers_of(part["minus"]) == -n).all()
        assert np.isnan(numbers_of(part["lacking"])).all()
        assert len(set(n)) == n.size
        spread = np.histogram(n, 10, (low, high))[0] / n.size
        assert 0.05 < spread.min() <= spread.max() < 0.15
    assert next(iter(sample_batches(store, batches, ["n"], DataFormat.PARQUET, 10**9))).num_rows == 10_000


@pytest.mark.parametrize("kind", [pa.float64(), pa.int32(), pa.decimal128(14, 2), pa.bool_()])
def test_numbers_with_missing_values(kind):
    whole = pa.array([None, 1, None, 0, 1], pa.int32()).cast(kind)
    numbers = numbers_of(pa.chunked_array([whole.slice(1), whole.slice(0, 2)]))
    assert np.array_equal(numbers, [1, np.nan, 0, 1, np.nan, 1], equal_nan=True)
    assert np.isnan(numbers_of(pa.chunked_array([pa.array([np.inf, np.nan])]))).all()


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_two_columns_of_one_name_in_a_later_file(folder, suffix):
    good = table(1).select(["x", "z", "w"])
    bad = good.rename_columns(["x", "x", "w"])
    folder.put("reference", good, bad, suffix=suffix)
    folder.put("current", good, suffix=suffix)
    code, _, err = folder.check()
    assert code == 2
    assert f"reference/1.{suffix} cannot be read" in err
    assert "more than one column named 'x'" in err
    folder.put("reference", good, good, suffix=suffix)
    folder.put("current", good, bad, suffix=suffix)
    code, result, _ = folder.check()
    assert (code, result["verdict"]) == (0, "Corrupted")
    assert "more than one column named 'x'" in result["message"]


def test_line_breaks_in_quotes_do_not_end_rows(folder, monkeypatch):
    monkeypatch.setattr("modelmonitor_trainer.data.text_blocks.BLOCK_BYTES", 4096)
    rows = pa.table({"x": np.arange(2000.0), "text": ["one\ntwo, and three"] * 2000})
    folder.put("reference", rows, suffix="csv")
    folder.put("current", rows, suffix="csv")
    code, result, _ = folder.check()
    assert (code, result["rows"]) == (0, {"reference": 2000, "current": 2000})


def test_a_column_of_few_values_cannot_show_drift(folder):
    g = np.random.default_rng(0)
    for side, shift in (("reference", 0.0), ("current", 0.2)):
        sparse = pa.array(g.normal(shift, size=10_000), mask=np.arange(10_000) >= 40)
        folder.put(side, pa.table({"sparse": sparse, "x": g.normal(size=10_000)}))
    _, result, _ = folder.check("--independent-rows")
    assert result["verdict"] == "Inconclusive"
    assert "No drift in 1 column, but a change of 0.15 cannot be ruled out in 1 column. sparse: " in result["message"]
    assert result["message"].endswith("are too few for the values that they have; more rows are needed.")
    for side in ("reference", "current"):
        path = folder.path / side / "0.parquet"
        pq.write_table(pq.read_table(path).select(["sparse"]), path)
    _, result, _ = folder.check()
    assert result["verdict"] == "Inconclusive"


def test_very_many_files_are_combined_into_batches(folder, monkeypatch):
    monkeypatch.setattr(files, "MAX_BATCHES", 36)
    rows = table(0)
    for side in ("reference", "current"):
        folder.put(side, *(rows.slice(20 * number, 20) for number in range(45)))
    code, result, _ = folder.check()
    assert code == 0
    assert result["rows"] == {"reference": 900, "current": 900}
    assert len(result["current"]["objects"]) == 45
    bad = folder.path / "current" / "17.parquet"
    bad.write_bytes(bad.read_bytes()[:-9])
    _, result, _ = folder.check()
    assert result["verdict"] == "Corrupted"
    assert "current/17.parquet cannot be read" in result["message"]
