"""Which rows a training uses: days that violate the contract, rows that were trained on, and what the outcome says."""

import datetime as dt
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.storage.local import path_of
from unit.train.conftest import NOW


def change(world, number, edit, kind="rows"):
    """Rewrite the partition of a day of January."""
    path = path_of(f"{world.base}/{kind}/date=2013-01-{number:02}/part.parquet")
    pq.write_table(edit(pq.read_table(path)), path)


def with_column(name, values):
    """Return an edit that replaces a column."""
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values(table)))


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (with_column("x", lambda table: [None] * table.num_rows), "lacks 100 % of its values"),
        (with_column("x", lambda table: [1.5] * table.num_rows), "has the value 1.5 in all of 100 rows"),
        (with_column("x", lambda table: ["good"] * table.num_rows), "holds text"),
        (with_column("x", lambda table: table["x"].to_numpy() * 1000), "looks like a factor of 1,000"),
        (with_column("x", lambda table: table["x"].to_numpy() / 1000), "looks like a factor of 1/1,000"),
        (lambda table: table.drop_columns(["x"]), "has no column 'x'"),
        (lambda table: pa.concat_tables([table] * 5), "has 500 rows, far more than any day before"),
    ],
)
@pytest.mark.parametrize("number", [5, 14])
def test_a_day_that_violates_the_contract_is_left_out_by_name(world, edit, why, number):
    world.spec["promotion"]["holdoutDays"] = 6
    change(world, number, edit)
    verdict = world.train()
    assert verdict.outcome == "Promoted", verdict.message
    assert (verdict.train_rows, verdict.holdout_rows) == ((900, 600) if number == 5 else (1000, 500))
    assert f"1 day that violates the contract (2013-01-{number:02}: " in verdict.message
    assert why in verdict.message
    record = world.registry.version(verdict.version)
    assert [str(item.day) for item in world.registry.manifest(record).left_out] == [f"2013-01-{number:02}"]


def test_each_day_that_is_left_out_has_its_own_reason(world):
    change(world, 4, with_column("x", lambda table: ["good"] * table.num_rows))
    change(world, 5, with_column("x", lambda table: [1.5] * table.num_rows))
    change(world, 6, with_column("kind", lambda table: [None] * table.num_rows))
    verdict = world.train()
    assert verdict.train_rows == 700
    assert "3 days that violate the contract (2013-01-04: column 'x' is declared Numeric" in verdict.message
    assert "; 2013-01-05: column 'x' has the value 1.5 in all of 100 rows" in verdict.message
    assert "; 2013-01-06: column 'kind' lacks 100 % of its values" in verdict.message


def test_days_of_one_value_here_and_there_are_ordinary(world):
    """Good visibility all day is no stuck sensor, although it is practically impossible for independent rows."""
    for number in (4, 6, 9, 12, 15):
        change(world, number, with_column("x", lambda table: [1.5] * table.num_rows))
    verdict = world.train()
    assert "violate" not in verdict.message
    assert verdict.train_rows == 1000


def test_a_day_that_cannot_be_read_is_left_out(world):
    path = path_of(f"{world.base}/rows/date=2013-01-05/part.parquet")
    path.write_bytes(path.read_bytes()[:200])
    verdict = world.train()
    assert (verdict.outcome, verdict.train_rows) == ("Promoted", 900), verdict.message
    assert "(2013-01-05: " in verdict.message


def test_declared_ranges_hold_for_each_day(world):
    world.spec["model"]["features"][0] |= {"maximum": "20"}
    for number in (5, 6):
        change(world, number, with_column("x", lambda table: [99.0, *table["x"].to_pylist()[1:]]))
    verdict = world.train()
    assert verdict.train_rows == 800
    assert (
        "2 days that violate the contract (2013-01-05, 2013-01-06: column 'x' has 1 values above 20" in verdict.message
    )
    for number in range(3, 13):
        change(world, number, with_column("x", lambda table: [99.0, *table["x"].to_pylist()[1:]]))
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooManyLeftOut")
    assert "10 of 10 days of the training window violate the feature contract, first 2013-01-03" in verdict.message


def test_what_lasts_to_the_end_may_be_normal(world):
    for number in range(13, 19):
        change(world, number, with_column("kind", lambda table: [None] * table.num_rows))
    assert "violate" not in world.train().message


def test_a_feature_that_is_new_begins_the_training_window(world):
    for number in range(1, 7):
        change(world, number, lambda table: table.drop_columns(["x"]))
    verdict = world.train()
    assert (verdict.outcome, verdict.train_rows) == ("Promoted", 600), verdict.message
    assert "The training window begins on 2013-01-07, because earlier rows lack 'x'." in verdict.message
    assert world.registry.version(verdict.version).train.start == dt.date(2013, 1, 7)


def test_copies_of_training_rows_are_no_hold_out(world):
    for number in (13, 14):
        for kind in ("rows", "labels"):
            source = path_of(f"{world.base}/{kind}/date=2013-01-{number - 8:02}/part.parquet")
            change(world, number, lambda _, source=source: pq.read_table(source), kind)
    verdict = world.train()
    assert (verdict.outcome, verdict.holdout_rows) == ("Promoted", 200), verdict.message
    assert "200 of the hold-out that are copies of other rows" in verdict.message
    for number in range(15, 17):
        for kind in ("rows", "labels"):
            source = path_of(f"{world.base}/{kind}/date=2013-01-{number - 8:02}/part.parquet")
            change(world, number, lambda _, source=source: pq.read_table(source), kind)
    verdict = world.train(2)
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooFewRows")
    assert "0 hold-out rows that no model was trained on" in verdict.message


@pytest.mark.parametrize(("final_fit", "rows"), [("None", 700), ("WithHoldout", 900)])
def test_days_that_are_copied_within_the_training_window_count_once(world, final_fit, rows):
    """An exporter that stood still, or a day that was written under another name, would weigh several times."""
    world.spec["promotion"]["finalFit"] = final_fit
    for number in (8, 9, 10):
        change(world, number, lambda _: pq.read_table(path_of(f"{world.base}/rows/date=2013-01-07/part.parquet")))
        labels = path_of(f"{world.base}/labels/date=2013-01-07/part.parquet")
        change(world, number, lambda _, labels=labels: pq.read_table(labels), "labels")
    world.spec["data"]["labels"]["keyScope"] = "Partition"
    world.spec["data"]["labels"]["delayDays"] = 0
    verdict = world.train()
    assert "300 of the training window that are copies of other rows" in verdict.message, verdict.message
    assert world.registry.version(verdict.version).train.rows == rows


def test_a_training_day_that_was_written_twice_counts_once(world):
    del world.spec["data"]["labels"]
    world.spec["model"] |= {"target": "kind", "features": [{"name": "x", "type": "Numeric"}], "slices": []}
    change(world, 12, lambda table: pa.concat_tables([table] * 2))
    assert "100 of the training window that are copies of other rows" in world.train().message


@pytest.mark.parametrize("unchanged", [100, 45])
def test_snapshots_of_things_that_do_not_change_are_no_copies(world, unchanged):
    """All days are alike, and that is how they are: a model of one of them would know as much."""
    same = np.random.default_rng(1).normal(size=unchanged).tolist()
    for number in range(1, 15):
        change(world, number, with_column("x", lambda table: same + table["x"].to_pylist()[unchanged:]))
        change(world, number, with_column("kind", lambda _: ["a", "b"] * 50))
        change(world, number, with_column("late", lambda _: [True, False] * 50), "labels")
    assert "of the training window that are copies" not in world.train().message


def test_equal_rows_of_coarse_data_are_no_copies(world):
    for number in range(1, 19):
        change(world, number, with_column("x", lambda table: np.sign(table["x"].to_numpy())))
    assert world.train().holdout_rows == 400


def test_a_group_that_was_trained_on_is_no_hold_out(world):
    for number in range(1, 19):
        customers = [f"c{row if number <= 12 or row < 60 else row + 1000}" for row in range(100)]
        change(world, number, lambda table, customers=customers: table.append_column("customer", pa.array(customers)))
    assert world.train().holdout_rows == 400
    world.spec["data"]["groupColumn"] = "customer"
    world.spec["retraining"]["windowDays"] = 9  # another model
    verdict = world.train(2)
    assert verdict.holdout_rows == 160, verdict.message
    assert "240 of the hold-out whose 'customer' was trained on" in verdict.message


def test_rows_without_a_group_are_counted_as_such(world):
    world.spec["data"]["groupColumn"] = "customer"
    for number in range(1, 19):
        customers = [None if row < 30 else f"c{number}-{row}" for row in range(100)]
        change(world, number, lambda table, customers=customers: table.append_column("customer", pa.array(customers)))
    verdict = world.train()
    assert verdict.holdout_rows == 280, verdict.message
    assert "120 of the hold-out without a 'customer'" in verdict.message
    assert "was trained on" not in verdict.message


def test_a_group_that_returns_every_day_leaves_no_hold_out(world):
    world.spec["data"]["groupColumn"] = "customer"
    for number in range(1, 19):
        customers = [f"c{row}" for row in range(100)]
        change(world, number, lambda table, customers=customers: table.append_column("customer", pa.array(customers)))
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooFewRows")
    assert "400 are of a 'customer' that was trained on" in verdict.message
    assert "if all of them return every day, remove it" in verdict.message


def test_few_outcomes_of_a_third_kind_are_left_out_and_many_are_refused(world, capsys):
    def stray(rows):
        return with_column(
            "late", lambda table: ["?"] * rows + [str(v).lower() for v in table["late"].to_pylist()[rows:]]
        )

    for number in range(1, 19):
        change(world, number, stray(int(number == 5)), "labels")
    verdict = world.train()
    assert (verdict.outcome, verdict.train_rows) == ("Promoted", 999), verdict.message
    assert "1 of an outcome that is none of the two classes" in verdict.message
    for number in range(1, 19):
        change(world, number, stray(5), "labels")
    assert main(["train", "-f", world.file()]) == 2
    assert "'late' has 3 values" in capsys.readouterr().err


def test_an_outcome_of_a_third_kind_does_not_divide_the_spellings_of_the_others(world):
    """The day with it is text, such as False, and the others hold truth values."""
    change(world, 5, with_column("late", lambda table: ["?", *map(str, table["late"].to_pylist()[1:])]), "labels")
    verdict = world.train()
    assert (verdict.outcome, verdict.train_rows) == ("Promoted", 999), verdict.message


def test_a_constant_value_is_nothing_to_learn(world):
    world.spec["model"]["task"] = "Regression"
    world.spec["retraining"]["estimator"] = {"name": "HistGradientBoostingRegressor"}
    world.spec["promotion"]["metric"] = "MeanAbsoluteError"
    for number in range(1, 19):
        change(world, number, with_column("late", lambda table: [3.5] * table.num_rows), "labels")
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "MetricUndefined"), verdict.message
    assert "is 3.5 in all 1,000 rows of the training window" in verdict.message


def test_the_outcome_counts_what_is_left_out(world):
    def few(table):
        return table.slice(10)

    for number in range(1, 19):
        change(world, number, few, "labels")
    verdict = world.train()
    assert "Left out of 1,400 rows: 140 without a label." in verdict.message


def test_many_repeated_rows_are_inconclusive(world):
    for number in range(1, 19):
        change(world, number, lambda table: pa.concat_tables([table, table.slice(0, 30)]))
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooManyLeftOut")
    assert "300 of 1,300 rows of the training window repeat the key of another row" in verdict.message
    assert "join by a column that does" in verdict.message


def test_a_key_of_many_rows_is_named_as_the_cause_and_not_their_labels(world):
    """Ten rows and ten labels a key: the labels contradict each other, because the key identifies no row."""
    for number in range(1, 19):
        key = with_column("id", lambda table: [f"g{row // 10}" for row in range(table.num_rows)])
        for kind in ("rows", "labels"):
            change(world, number, key, kind)
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooManyLeftOut")
    assert "data.labels.joinKey (id) does not identify a row" in verdict.message


def test_a_training_without_a_comparison_says_what_is_left_out(world):
    for number in range(1, 19):
        change(world, number, lambda table: table.slice(0, 55), "labels")
    world.spec["promotion"]["minHoldoutRows"] = 300
    verdict = world.train()
    assert (verdict.outcome, verdict.reason) == ("Inconclusive", "TooFewRows")
    assert "Left out of 1,400 rows: 630 without a label." in verdict.message


def test_corrected_labels_are_counted(world):
    for number in range(1, 19):
        path = path_of(f"{world.base}/labels/date=2013-01-{number:02}/part.parquet")
        table = pq.read_table(path)
        before = with_column("late", lambda t: [not value for value in t["late"].to_pylist()[:5]])(table.slice(0, 5))
        pq.write_table(before, path.with_name("a.parquet"))
        os.utime(path.with_name("a.parquet"), (1, 1))
    verdict = world.train()
    assert "70 of 1,400 labelled rows have a label that replaced a different one." in verdict.message


def test_a_training_on_the_command_line_obeys_the_holds(world, capsys):
    world.spec["suspend"] = True
    assert main(["train", "-f", world.file()]) == 2
    err = capsys.readouterr().err
    assert "The monitor is suspended" in err
    assert "--force" in err
    assert main(["train", "-f", world.file(), "--force"]) == 0


def test_a_training_on_the_command_line_needs_data_without_violations(world, capsys):
    from modelmonitor_api.messages import CheckRequest
    from modelmonitor_trainer.check.publish import publish_check

    world.spec["model"]["features"][0] |= {"maximum": "0"}
    request = CheckRequest(monitor=world.monitor, spec=world.parsed(), checks_per_day=1.0)
    verdict, _ = publish_check(world.store, request, job="local", now=NOW)
    assert verdict.verdict == "Corrupted"
    assert main(["train", "-f", world.file()]) == 2
    assert "found corrupted data, which blocks training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "value", "estimator", "words"),
    [
        (5, 1.7976931348623157e308, "HistGradientBoostingClassifier", "which is too large to calculate with"),
        (14, -1e300, "LogisticRegression", "which is too large to calculate with"),
        (5, 1e30, "LogisticRegression", "which would decide the fit alone"),
        (5, 1e30, "HistGradientBoostingClassifier", None),
        (5, float("inf"), "HistGradientBoostingClassifier", None),
    ],
)
def test_an_extreme_value_is_named_or_harmless(world, capsys, number, value, estimator, words):
    world.spec["retraining"]["estimator"] = {"name": estimator, "preprocessing": {"numericImputation": "Median"}}
    change(world, number, with_column("x", lambda table: [value, *table["x"].to_pylist()[1:]]))
    code = main(["train", "-f", world.file()])
    captured = capsys.readouterr()
    if words is None:
        assert (code, captured.out[:8]) == (0, "Promoted"), captured
        return
    assert code == 2
    assert f"column 'x' is {value:.6g} in a row of 2013-01-{number:02}, {words}" in captured.err


def test_an_infinite_value_is_named_where_it_cannot_be_used(world, capsys):
    world.spec["model"]["features"] = [{"name": "x", "type": "Numeric"}]
    world.spec["retraining"]["estimator"] = {"name": "LogisticRegression"}
    change(world, 5, with_column("x", lambda table: [float("inf"), *table["x"].to_pylist()[1:]]))
    assert main(["train", "-f", world.file()]) == 2
    assert "column 'x' is inf in a row of 2013-01-05, which counts as missing" in capsys.readouterr().err


@pytest.mark.parametrize("number", [9, 13])
def test_outcomes_that_are_written_in_another_way_from_a_day_on_are_named_with_it(world, capsys, number):
    """Within the training window, and with the hold-out."""
    for later in range(number, 19):
        words = with_column("late", lambda table: ["A" if late else "B" for late in table["late"].to_pylist()])
        change(world, later, words, "labels")
    assert main(["train", "-f", world.file()]) == 2
    message = capsys.readouterr().err
    assert f"through 2013-01-{number - 1:02}, and 'A' and 'B' from 2013-01-{number:02} on" in message


def test_an_extreme_outcome_is_named(world, capsys):
    del world.spec["data"]["labels"]
    world.spec["model"] |= {"task": "Regression", "target": "x", "features": [{"name": "kind", "type": "Categorical"}]}
    world.spec["retraining"]["estimator"] = {"name": "HistGradientBoostingRegressor"}
    world.spec["promotion"]["metric"] = "R2"
    change(world, 14, with_column("x", lambda table: [1e12, *table["x"].to_pylist()[1:]]))
    assert main(["train", "-f", world.file()]) == 2
    assert "column 'x' is 1e+12 in a row of 2013-01-14, which would decide the fit alone" in capsys.readouterr().err


def test_one_row_of_a_class_turns_early_stopping_off(world):
    def colours(table):
        return np.array(["blue", "green", "red"])[np.digitize(table["x"].to_numpy(), [-0.5, 0.5])].tolist()

    del world.spec["data"]["labels"]
    world.spec["model"] |= {"task": "MulticlassClassification", "target": "colour"}
    world.spec["model"]["features"] = [{"name": "gauge", "type": "Numeric"}]
    parameters = [{"name": "early_stopping", "value": "true"}, {"name": "max_iter", "value": "20"}]
    world.spec["retraining"]["estimator"] = {"name": "HistGradientBoostingClassifier", "parameters": parameters}
    world.spec["promotion"]["metric"] = "LogLoss"
    for number in range(1, 19):
        g = np.random.default_rng(number + 100)

        def edit(table, g=g, number=number):
            names = colours(table)
            names[0] = "violet" if number == 5 else names[0]
            gauge = table["x"].to_numpy() + 0.5 * g.normal(size=table.num_rows)
            return table.append_column("colour", pa.array(names)).append_column("gauge", pa.array(gauge))

        change(world, number, edit)
    verdict = world.train()
    assert verdict.outcome == "Promoted", verdict.message
    parameters = world.registry.read_file(world.registry.version(verdict.version), "parameters.json").decode()
    assert "early stopping is off, because the training rows have one row of the class 'violet'" in parameters


def test_the_memory_estimate_counts_the_columns_of_one_hot_encoding(world, capsys, monkeypatch):
    from modelmonitor_trainer.train import memory_estimate

    monkeypatch.setattr(memory_estimate, "BASE_BYTES", 0)
    world.spec["model"]["features"].append({"name": "word", "type": "Categorical"})
    for number in range(1, 19):
        words = [f"w{row}" for row in range(100)]
        change(world, number, lambda table, words=words: table.append_column("word", pa.array(words)))
    steps = {"numericImputation": "Median", "categoricalEncoding": "OneHot"}
    world.spec["retraining"]["estimator"] = {"name": "LogisticRegression", "preprocessing": steps}
    world.spec["retraining"]["trainer"] = {"resources": {"limits": {"memory": "1Mi"}}}
    assert main(["train", "-f", world.file()]) == 2
    err = capsys.readouterr().err
    assert "columns (" in err
    assert "after one-hot encoding)" in err
    assert "lower preprocessing.maxCategories" in err
