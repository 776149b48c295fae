"""Labels as people have them, from the first training to the check: corrected, contradicting, in another spelling."""

import datetime as dt
import decimal
import json
import shutil
import uuid

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_trainer.cli.main import main
from modelmonitor_trainer.storage.local import path_of
from unit.train import conftest as training

#: The monitor of the tests of trainings.
world, cheap_trainings = training.world, training.cheap_trainings

FIRST = dt.date(2013, 1, 1)
LATER = range(19, 37)
COUNT = 100


@pytest.fixture
def champion(world, capsys):
    """A world with a champion, trained on the days 1 to 18, whose keys are text and whose outcomes are booleans."""
    world.spec["data"]["live"]["windowDays"] = 14
    assert main(["train", "-f", str(world.file())]) == 0
    assert capsys.readouterr().out.startswith("Promoted")
    return world


@pytest.fixture
def check(champion, capsys):
    """Check on the command line; returns the exit code, the JSON and the text on standard error."""

    def run(*arguments):
        code = main(["check", "-f", str(champion.file()), "--output", "json", *arguments])
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else None, captured.err

    return run


def day_of(number):
    return FIRST + dt.timedelta(days=number - 1)


def rows_of(number, keys):
    g = np.random.default_rng(number)
    x = g.normal(size=COUNT)
    truth = g.random(COUNT) < 1 / (1 + np.exp(-2 * x))
    columns = {
        "id": keys,
        "x": x,
        "gust": [None] * COUNT,
        "kind": g.choice(["a", "b"], COUNT).tolist(),
        "origin": g.choice(["EWR", "JFK"], COUNT).tolist(),
    }
    return columns, truth


def numbers(number):
    return [number * COUNT + row for row in range(COUNT)]


def land(world, left, right, outcomes=lambda truth: truth):
    """Write the later days with keys and outcomes as functions write them."""
    for number in LATER:
        columns, truth = rows_of(number, left(numbers(number)))
        world.put(f"rows/date={day_of(number)}/part.parquet", columns)
        world.put(f"labels/date={day_of(number)}/part.parquet", {"id": right(numbers(number)), "late": outcomes(truth)})


def texts(n):
    return [str(v) for v in n]


KEYS = {
    "integers": pa.array,
    "floats": lambda n: pa.array(n, pa.float64()),
    "decimals": lambda n: pa.array([decimal.Decimal(v) for v in n], pa.decimal128(12, 2)),
    "categories": lambda n: pa.array(texts(n)).dictionary_encode(),
    "text of floats": lambda n: [f"{v}.0" for v in n],
}
IDS = {
    "bytes": lambda n: pa.array([uuid.UUID(int=v + 2**100).bytes for v in n], pa.binary(16)),
    "uuids": lambda n: pa.array([uuid.UUID(int=v + 2**100).bytes for v in n], pa.uuid()),
    "text": lambda n: [str(uuid.UUID(int=v + 2**100)) for v in n],
}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *((texts, KEYS[name]) for name in KEYS),
        *((KEYS[name], texts) for name in KEYS),
        (IDS["bytes"], IDS["bytes"]),
        (IDS["bytes"], IDS["text"]),
        (IDS["text"], IDS["uuids"]),
    ],
)
def test_keys_of_other_types_meet(champion, check, left, right):
    land(champion, left, right)
    code, document, err = check()
    assert (code, err) == (0, "")
    assert document["performance"][0]["rows"] == 12 * COUNT, document["performance"][0]["message"]
    assert not document["performanceDropped"]


def test_a_training_joins_what_a_check_joins(champion, capsys):
    land(champion, IDS["bytes"], IDS["text"], lambda truth: ["TRUE" if value else "no" for value in truth])
    champion.spec["retraining"]["windowDays"] = 14
    assert main(["train", "-f", str(champion.file()), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["trainRows"], document["holdoutRows"]) == (14 * COUNT, 4 * COUNT), document["message"]
    assert abs(document["comparison"]["difference"]) < 0.05


def test_a_type_that_cannot_be_a_key_ends_with_its_name(champion, check, capsys):
    land(champion, lambda n: [[v] for v in n], texts)
    code, _, err = check()
    assert code == 2
    assert "'id' is list<" in err
    assert main(["train", "-f", str(champion.file())]) == 2
    assert "'id' is list<" in capsys.readouterr().err


def test_keys_that_never_meet_are_shown(champion, check):
    land(champion, texts, lambda n: [f"order-{v}" for v in n])
    _, document, _ = check()
    message = document["performance"][0]["message"]
    assert "none of 1,200 rows has a label" in message
    assert "'2300' (string) in the rows and 'order-" in message


def left_out(document):
    return {group["reason"] for group in document["coverage"]["labels"]["leftOut"]}


@pytest.mark.parametrize(
    ("right", "reasons"),
    [
        (lambda n: [f"order-{v}" for v in n], {"UnlabelledRows", "UnmatchedLabels"}),
        (lambda n: texts(v - 5000 for v in n), {"UnlabelledRows", "UnmatchedLabels"}),
        (lambda n: [None] * len(n), {"UnlabelledRows"}),
        # Ten of a hundred rows have a label, fewer than data.labels.minShare.
        (lambda n: [str(v) if v % 10 == 0 else f"x{v}" for v in n], {"UnlabelledRows", "FewLabels", "UnmatchedLabels"}),
    ],
)
def test_labels_that_do_not_find_their_rows_are_no_silence(champion, check, right, reasons):
    land(champion, texts, right)
    code, document, _ = check("--fail-on", "Inconclusive")
    assert (code, document["verdict"]) == (10, "Inconclusive")
    assert "the predictions cannot be compared with labels" in document["message"]
    assert left_out(document) == reasons
    assert document["coverage"]["labels"]["share"] == 0
    assert any(note.startswith("Labels: ") for note in document["notes"])


def test_labels_that_have_not_arrived_are_no_silence(champion, check):
    land(champion, texts, texts)
    for number in LATER:
        shutil.rmtree(path_of(f"{champion.base}/labels/date={day_of(number)}"))
    _, document, _ = check()
    assert document["verdict"] == "Inconclusive"
    assert (
        "0 of 1,200 rows of the mature days (0 %) have a label that counts; no label has arrived" in document["message"]
    )


def test_some_labels_without_a_row_are_named(champion, check):
    champion.spec["data"]["labels"]["minShare"] = "0.2"
    land(champion, texts, lambda n: [str(v) if v % 10 < 4 else f"x{v}" for v in n])
    _, document, _ = check()
    assert document["verdict"] != "Inconclusive" or "labels" not in document["message"]
    assert document["coverage"]["labels"]["share"] == pytest.approx(0.4)
    notes = " ".join(note for note in document["notes"] if note.startswith("Labels: "))
    assert "480 of 1,200 rows of the mature days (40 %) have a label that counts" in notes
    assert "labels that have arrived belong to no row" in notes


def test_labels_without_a_champion_are_inspected_too(world, capsys):
    land(world, texts, lambda n: [f"order-{v}" for v in n])
    world.spec["data"]["reference"] = {"start": "2013-01-01", "end": "2013-01-18"}
    assert main(["check", "-f", str(world.file()), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert any("None of 300 rows has a label" in note for note in document["notes"])
    assert left_out(document) == {"UnlabelledRows", "UnmatchedLabels"}


def test_the_newest_label_counts(champion, check, capsys):
    g = np.random.default_rng(0)
    land(champion, texts, texts, lambda truth: truth ^ (g.random(COUNT) < 0.5))
    for number in LATER:
        _, truth = rows_of(number, texts(numbers(number)))
        champion.put(f"labels/date={day_of(number + 2)}/final.parquet", {"id": texts(numbers(number)), "late": truth})
    code, document, _ = check("--fail-on", "Drift,Corrupted,PerformanceDrop")
    assert (code, document["performance"][0]["rows"]) == (0, 12 * COUNT)
    assert not document["performanceDropped"]
    assert document["performance"][0]["corrected"] > 500
    assert any(
        "have a label that replaced a different one; the last arrival counts" in note for note in document["notes"]
    )
    assert main(["train", "-f", str(champion.file()), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["comparison"]["champion"] > 0.8, "it is scored on the final labels"


def test_the_greatest_version_counts(champion, check):
    champion.spec["data"]["labels"]["versionColumn"] = "revision"
    for number in LATER:
        ids, (columns, truth) = texts(numbers(number)), rows_of(number, texts(numbers(number)))
        champion.put(f"rows/date={day_of(number)}/part.parquet", columns)
        labels = {
            "id": [*ids, *ids],
            "late": [*truth, *~truth],
            "revision": ["2013-01-10T00:00:00Z"] * COUNT + ["2013-01-02T00:00:00Z"] * COUNT,
        }
        champion.put(f"labels/date={day_of(number)}/part.parquet", labels)
    code, document, _ = check("--fail-on", "Drift,Corrupted,PerformanceDrop")
    # Half of the labels are replaced ones, which the distribution of the target includes.
    assert document["performance"][0]["corrected"] == 12 * COUNT, document["message"]
    assert document["performance"][0]["score"] > 0.8
    assert code == 0


def contradict(world, share):
    for number in LATER:
        ids, (columns, truth) = texts(numbers(number)), rows_of(number, texts(numbers(number)))
        world.put(f"rows/date={day_of(number)}/part.parquet", columns)
        twice = int(share * COUNT)
        world.put(
            f"labels/date={day_of(number)}/part.parquet",
            {"id": [*ids, *ids[:twice]], "late": [*truth, *~truth[:twice]]},
        )


def test_many_contradicting_labels_are_corrupted_data(champion, check, capsys):
    contradict(champion, 0.25)
    code, document, _ = check("--fail-on", "Corrupted")
    assert (code, document["verdict"]) == (10, "Corrupted")
    (violation,) = document["violations"]
    assert (violation["kind"], violation["column"], len(violation["partitions"])) == ("ContradictoryLabels", "id", 12)
    assert "300 of 1,200 labelled rows" in violation["message"]
    assert main(["train", "-f", str(champion.file())]) == 2
    assert "found corrupted data, which blocks training" in capsys.readouterr().err
    assert main(["train", "-f", str(champion.file()), "--force"]) == 2
    assert "contradict each other, which is more than data.labels.maxContradictions (0.01)" in capsys.readouterr().err


def test_few_contradicting_labels_are_left_out_and_named(champion, check):
    contradict(champion, 0.01)
    _, document, _ = check()
    assert document["verdict"] == "NoDrift"
    assert document["performance"][0]["rows"] == 12 * (COUNT - 1)
    assert any("12 of 1,200 labelled rows have labels that contradict" in note for note in document["notes"])
    champion.spec["data"]["labels"]["maxContradictions"] = "0"
    assert check()[1]["verdict"] == "Corrupted"


@pytest.mark.parametrize(
    "write",
    [
        lambda truth: ["true" if value else "false" for value in truth],
        lambda truth: [" True " if value else "False" for value in truth],
        lambda truth: ["yes" if value else "no" for value in truth],
        lambda truth: ["1.0" if value else "0.0" for value in truth],
        lambda truth: pa.array(truth.astype("i1")),
        lambda truth: pa.array(truth.astype("f4")),
        lambda truth: pa.array([decimal.Decimal(int(value)) for value in truth], pa.decimal128(3, 1)),
        lambda truth: pa.array(["1" if value else "0" for value in truth]).dictionary_encode(),
    ],
)
def test_outcomes_in_another_spelling_are_scored(champion, check, write):
    land(champion, texts, texts, write)
    _, document, _ = check()
    assert document["performance"][0]["rows"] == 12 * COUNT, document["performance"][0]["message"]
    assert not document["performanceDropped"]


@pytest.mark.parametrize(
    ("write", "shown"),
    [
        (lambda truth: ["good" if value else "bad" for value in truth], "'bad' and 'good'"),
        (lambda truth: pa.array(truth.astype("i1") + 1), "'2'"),
        (lambda truth: pa.array(truth.astype("i1") * 2 - 1), "'-1'"),
    ],
)
def test_outcomes_that_are_no_classes_of_the_champion_are_named(champion, check, capsys, write, shown):
    land(champion, texts, texts, write)
    _, document, _ = check()
    assert document["performance"][0]["score"] is None
    message = document["performance"][0]["message"]
    assert shown in message or "'good' and 'bad'" in message
    assert "the classes of the model are '0' and '1'; write the labels with the spelling of these classes" in message
    champion.spec["retraining"]["windowDays"] = 12
    assert main(["train", "-f", str(champion.file())]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Inconclusive (Incomparable)")
    assert "distinguishes '0' and '1'" in out


def test_labels_of_the_day_before_and_of_later_days_find_their_rows(champion, check):
    for number in LATER:
        keys = texts(numbers(number))
        columns, truth = rows_of(number, keys)
        champion.put(f"rows/date={day_of(number)}/part.parquet", columns)
        for part, shift in enumerate((-1, 0, 1, 2)):
            place = slice(part * 25, part * 25 + 25)
            champion.put(
                f"labels/date={day_of(number + shift)}/of-{number}.parquet", {"id": keys[place], "late": truth[place]}
            )
    _, document, _ = check()
    assert document["performance"][0]["rows"] >= 12 * COUNT - 25, "the label of the first row can be before the window"


def test_a_target_of_nulls_or_of_one_class_ends_in_a_sentence(champion, check):
    land(champion, texts, texts, lambda _: pa.nulls(COUNT))
    code, document, _ = check()
    assert code == 0
    assert "0 labelled rows are too few" in document["performance"][0]["message"]
    land(champion, texts, texts, lambda _: np.ones(COUNT, dtype=bool))
    code, document, _ = check()
    assert code == 0
    assert "ROC AUC is not defined on the 1200 labelled rows (a single class?)" in document["performance"][0]["message"]


def test_a_champion_that_scores_worse_cannot_pass_a_gate(champion, check):
    g = np.random.default_rng(0)
    land(champion, texts, texts, lambda truth: truth ^ (g.random(COUNT) < 0.3))
    code, document, _ = check("--fail-on", "PerformanceDrop")
    assert (code, document["verdict"], document["performanceDropped"]) == (10, "PerformanceDrop", True), document[
        "message"
    ]
    code, document, _ = check("--fail-on", "Drift,Corrupted")
    assert code == 0


def land_customers(world, *, delay=0, days=LATER):
    """Write rows of the same customers on each day, whose labels are in the partition `delay` days later."""
    for number in days:
        keys = texts(range(COUNT))
        columns, truth = rows_of(number, keys)
        world.put(f"rows/date={day_of(number)}/part.parquet", columns)
        world.put(f"labels/date={day_of(number + delay)}/part.parquet", {"id": keys, "late": truth})


@pytest.mark.parametrize(("delay", "scope"), [(0, None), (0, "Partition"), (2, "Partition")])
def test_a_key_that_returns_every_day_identifies_a_row_of_its_day(champion, check, capsys, delay, scope):
    champion.spec["data"]["labels"] |= {"delayDays": delay, **({"keyScope": scope} if scope else {})}
    land_customers(champion)
    _, document, _ = check()
    assert document["performance"][0]["rows"] == (14 - delay) * COUNT, document["performance"][0]["message"]
    assert document["performance"][0]["score"] > 0.8, "each row has the label of its own day"
    champion.spec["retraining"]["windowDays"] = 12
    assert main(["train", "-f", str(champion.file()), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["trainRows"], document["holdoutRows"]) == (12 * COUNT, 4 * COUNT), document["message"]
    assert document["comparison"]["challenger"] > 0.8


def test_a_day_without_rows_does_not_move_labels_to_the_day_before(champion, check):
    champion.spec["data"]["labels"]["delayDays"] = 0
    land_customers(champion)
    champion.store.delete(f"{champion.base}/rows/date={day_of(30)}/part.parquet")
    _, document, _ = check("--fail-on", "Drift")
    assert document["verdict"] == "Corrupted"
    champion.spec["detectors"] = [{"type": "Performance", "name": "score"}]
    _, document, _ = check()
    assert (document["performance"][0]["rows"], document["performance"][0]["corrected"]) == (13 * COUNT, 0)


def test_labels_that_could_be_those_of_several_rows_are_refused(champion, check, capsys):
    land_customers(champion, delay=2)
    code, _, err = check()
    assert code == 2
    assert "the join key 'id' returns on other days within the label delay (2 days)" in err
    assert "set data.labels.keyScope to Partition" in err
    champion.spec["retraining"]["windowDays"] = 12
    assert main(["train", "-f", str(champion.file())]) == 2
    assert "set data.labels.keyScope to Partition" in capsys.readouterr().err


def test_later_rows_with_the_same_key_can_be_declared_repetitions(champion, check):
    champion.spec["data"]["labels"]["keyScope"] = "Window"
    land(champion, texts, texts)
    for number in LATER[:-1]:
        again, _ = rows_of(number, texts(numbers(number)))
        champion.put(f"rows/date={day_of(number + 1)}/again.parquet", {k: v[:1] for k, v in again.items()})
    _, document, _ = check()
    assert document["verdict"] == "NoDrift", document["message"]
    # The days of the window through 34: the first lost the label of the row that the day before it has, too.
    assert document["performance"][0]["rows"] in range(12 * COUNT, 12 * COUNT + 2)
