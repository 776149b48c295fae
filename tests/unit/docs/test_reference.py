"""The reference pages describe what a run really writes, and what the code defines."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_trainer.cli.main import main
from unit.docs.run import DOCS, ROOT, Run

VERDICT_PAGE = (DOCS / "reference" / "verdict-json.md").read_text()
LAYOUT_PAGE = (DOCS / "reference" / "results-layout.md").read_text()
CONDITIONS_PAGE = (DOCS / "reference" / "conditions.md").read_text()
#: Files that this run cannot write: those of a custom trainer or a final fit, and a deletion that has been withdrawn.
NOT_WRITTEN = {
    "versions/<version>/model/…",
    "versions/<version>/deleting.json",
    "damaged/champion-<hash>.json",
    "decisions.json",
    "ledger/<uid>/<time>Z-<hash>.json",  # written by pods of a cluster
    "owner.json",  # likewise
    "probes/<random>.json",
}


def section(page: str, title: str) -> str:
    """Return the text of a section of second level; that before the first one for an empty title."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    sections = {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    return sections[title]


def words(text: str) -> set[str]:
    """Return what a text sets in code."""
    return set(re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)))


# verdict.json


@pytest.fixture(scope="module")
def of_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of a check of two files, with every kind of test that files can have."""
    folder = tmp_path_factory.mktemp("files")
    columns: dict[str, Any] = {"x": list(range(600)), "y": [i % 7 for i in range(600)], "kind": ["a", "b", "c"] * 200}
    pq.write_table(pa.table(columns), folder / "reference.parquet")
    columns |= {"x": [i + 300 for i in range(600)], "kind": [None] * 600}
    pq.write_table(pa.table(columns), folder / "current.parquet")
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *values, **_: printed.extend(map(str, values)))
        files = ["--reference", str(folder / "reference.parquet"), "--current", str(folder / "current.parquet")]
        assert main(["check", *files, "--output", "json"]) == 0
    report: dict[str, Any] = json.loads("\n".join(printed))
    return report


@pytest.fixture(params=["files", "first check", "check with a champion"])
def verdict(request: pytest.FixtureRequest, finished_run: Run, of_files: dict[str, Any]) -> dict[str, Any]:
    """Results of checks of different kinds."""
    return {"files": of_files, "first check": finished_run.verdicts()[0]}.get(
        request.param, finished_run.verdicts()[-1]
    )


def test_every_top_level_field_is_described(verdict: dict[str, Any]) -> None:
    assert set(verdict) <= words(section(VERDICT_PAGE, "Top level"))


@pytest.mark.parametrize(
    ("field", "title"),
    [
        ("features", "Features"),
        ("relations", "Relations"),
        ("violations", "Violations"),
        ("performance", "Performance"),
        ("detectors", "Top level"),
    ],
)
def test_every_field_of_a_list_is_described(verdict: dict[str, Any], field: str, title: str) -> None:
    described = words(section(VERDICT_PAGE, title))
    for item in verdict[field]:
        assert set(item) <= described
        for value in item.values():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                assert set(value[0]) <= described


def test_decision_and_sides_are_described(verdict: dict[str, Any]) -> None:
    assert set(verdict["decision"]) <= words(section(VERDICT_PAGE, "Decision"))
    for side in ("reference", "current"):
        described = words(section(VERDICT_PAGE, "Sides"))
        assert set(verdict[side]) <= described
        assert all(set(item) <= described for item in verdict[side]["objects"])


def test_the_runs_show_every_list(finished_run: Run, of_files: dict[str, Any]) -> None:
    seen = [*finished_run.verdicts(), of_files]
    for field in ("features", "relations", "violations", "performance", "detectors"):
        assert any(verdict[field] for verdict in seen), field
    assert any(performance["periods"] for verdict in seen for performance in verdict["performance"])


def test_every_described_field_exists(finished_run: Run, of_files: dict[str, Any]) -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", section(VERDICT_PAGE, "Top level"), re.MULTILINE)
    described = {word for row in rows for word in words(row)}
    assert described == set(of_files) == set(finished_run.verdicts()[-1])


# Results layout


def paths() -> list[str]:
    """Return the paths of the page, relative to the monitor's prefix."""
    table, version = (re.findall(r"^\| ([^|]+) \|", part, re.MULTILINE) for part in LAYOUT_PAGE.split("## A version"))
    top = [word for row in table for word in words(row) if not word.endswith("<version>/…")]
    return top + [f"versions/<version>/{word}" for row in version for word in words(row)]


def matches(path: str, file: str) -> bool:
    """Whether a file is one that the page describes by `path`."""
    pattern = re.sub(r"<\w+>", "[^/]+", re.escape(path).replace("\\<", "<").replace("\\>", ">"))
    return re.fullmatch(pattern.replace("…", ".+").replace("\\.profile", "\\.(profile|moments)"), file) is not None


def test_every_file_of_a_run_is_described(finished_run: Run) -> None:
    assert [file for file in finished_run.files() if not any(matches(path, file) for path in paths())] == []


def test_every_described_file_is_written(finished_run: Run) -> None:
    written = finished_run.files()
    assert {path for path in paths() if not any(matches(path, file) for file in written)} == NOT_WRITTEN


# Conditions and command line


def enum(name: str) -> Any:
    """Return an enum of the API, wherever it is defined."""
    for module in ("reasons", "names", "outcomes", "spec", "messages"):
        try:
            member = getattr(importlib.import_module(f"modelmonitor_api.{module}"), name, None)
        except ModuleNotFoundError:
            continue
        if member is not None:
            return member
    raise AssertionError(name)


@pytest.mark.parametrize("kind", [kind.value for kind in enum("ConditionType")])
def test_every_condition_has_a_row(kind: str) -> None:
    assert re.search(rf"^\| `{kind}` \|", CONDITIONS_PAGE, re.MULTILINE)


def test_reasons_of_the_page_exist() -> None:
    known = {
        reason.value for name in ("Reason", "ConditionType", "FailureReason", "GateReason") for reason in _all(name)
    }
    known |= set(_printer_columns())
    named = {word for word in words(CONDITIONS_PAGE) if re.fullmatch(r"([A-Z][a-z]+)+", word)}
    assert named - known <= {"Warning", "Next", "Schedule"}


@pytest.mark.parametrize("reason", [reason.value for reason in enum("Reason")])
def test_every_reason_of_the_operator_is_on_the_page(reason: str) -> None:
    """Those of history entries are among the actions; of an answer that cannot be used, the message tells."""
    assert reason in words(CONDITIONS_PAGE) | {"UnexpectedAnswer", "JobDeleted"}


def test_every_trigger_is_a_reason_of_the_condition_training() -> None:
    source = (ROOT / "policy" / "modelmonitor_policy" / "triggers.py").read_text()
    triggers = {enum("Reason")[name].value for name in re.findall(r"ActiveTrigger\(\s*Reason\.([A-Z_]+)", source)}
    (listed,) = re.findall(r"- \*\*True\*\* – why it runs: (.*?)\.\n", CONDITIONS_PAGE, re.DOTALL)
    assert triggers == words(listed)


def _all(name: str) -> list[Any]:
    try:
        return list(enum(name))
    except AssertionError:
        return []


def _printer_columns() -> list[str]:
    crd = (ROOT / "manifests" / "crd.yaml").read_text()
    return re.findall(r"^    - name: (\S+)$", crd[crd.index("additionalPrinterColumns") :], re.MULTILINE)


def test_the_columns_of_kubectl_get_are_described() -> None:
    described = words(section(CONDITIONS_PAGE, "Columns of `kubectl get mmon`"))
    assert {column for column in _printer_columns() if column != "v1alpha1"} - described <= {"Next", "Reason"}


@pytest.mark.parametrize(
    ("command", "page"),
    [(["generate_cli.py"], "cli"), (["generate_cli.py", "mmon"], "mmon"), (["generate_metrics.py"], "metrics")],
)
def test_the_generated_page_is_up_to_date(command: list[str], page: str) -> None:
    printed = subprocess.run(
        [sys.executable, ROOT / "hack" / command[0], *command[1:]], check=True, capture_output=True, text=True
    ).stdout
    assert printed == (DOCS / "reference" / f"{page}.md").read_text(), "run `make manifests`"


def test_the_diagrams_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "hack" / "draw_diagrams.py", tmp_path], check=True)
    for drawn in tmp_path.iterdir():
        assert drawn.read_text() == (DOCS / "images" / drawn.name).read_text(), "run hack/draw_diagrams.py"
