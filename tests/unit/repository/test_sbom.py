"""The wheels and the chart of a release have SBOMs that name what they need."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
METADATA = """Metadata-Version: 2.4
Name: modelmonitor-trainer
Version: 1.2.3
Requires-Dist: modelmonitor-api==1.2.3
Requires-Dist: Scikit_learn<2,>=1.5
Requires-Dist: mlflow; extra == "mlflow"
"""


def described(path: Path) -> dict[str, Any]:
    """Return the SBOM of a file."""
    environment = {"SOURCE_DATE_EPOCH": "0"}
    subprocess.run([sys.executable, ROOT / "hack" / "sbom.py", path], env=environment, check=True)
    document: dict[str, Any] = json.loads(path.with_name(f"{path.name}.spdx.json").read_text())
    known = {package["SPDXID"] for package in document["packages"]} | {"SPDXRef-DOCUMENT"}
    assert len(known) == len(document["packages"]) + 1, "identifiers are unique"
    for relationship in document["relationships"]:
        assert {relationship["spdxElementId"], relationship["relatedSpdxElement"]} <= known
    assert document["creationInfo"]["created"] == "1970-01-01T00:00:00Z"
    return document


def locators(document: dict[str, Any]) -> list[str]:
    return [package["externalRefs"][0]["referenceLocator"] for package in document["packages"]]


def test_a_wheel_depends_on_what_its_metadata_requires(tmp_path: Path) -> None:
    wheel = tmp_path / "modelmonitor_trainer-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("modelmonitor_trainer-1.2.3.dist-info/METADATA", METADATA)
    document = described(wheel)
    expected = ["pkg:pypi/modelmonitor-trainer@1.2.3", "pkg:pypi/modelmonitor-api@1.2.3", "pkg:pypi/scikit-learn"]
    assert locators(document) == expected
    assert document["packages"][2]["comment"] == "Required as Scikit_learn<2,>=1.5"
    assert [relationship["relationshipType"] for relationship in document["relationships"]] == [
        "DESCRIBES",
        "DEPENDS_ON",
        "DEPENDS_ON",
    ]


def test_the_chart_depends_on_its_images(tmp_path: Path) -> None:
    chart = tmp_path / "modelmonitor.tgz"
    with tarfile.open(chart, "w:gz") as archive:
        archive.add(ROOT / "charts" / "modelmonitor", "modelmonitor")
    version = (ROOT / "VERSION").read_text().strip()
    document = described(chart)
    assert locators(document) == [
        f"pkg:{kind}@{version}" for kind in ("helm/modelmonitor", "oci/operator", "oci/trainer")
    ]
    assert [package["name"] for package in document["packages"][1:]] == [
        "modelmonitor/operator",
        "modelmonitor/trainer",
    ]


def test_a_release_has_them() -> None:
    assert "hack/sbom.py dist/*.whl dist/*.tgz" in (ROOT / "hack" / "dist.sh").read_text()
