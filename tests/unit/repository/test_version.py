"""One version everywhere: the file VERSION, the packages, the chart, the generated manifests and the image tags."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.version import Version

ROOT = Path(__file__).parents[3]
VERSION = (ROOT / "VERSION").read_text().strip()
PACKAGES = ("api", "policy", "operator", "trainer")
HINT = "run `make version VERSION=…`, then `make manifests`"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """``hack/version.py`` as a module."""
    spec = importlib.util.spec_from_file_location("version_script", ROOT / "hack" / "version.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("package", PACKAGES)
def test_package_reports_the_version(package: str) -> None:
    module = importlib.import_module(f"modelmonitor_{package}")
    assert Version(module.__version__) == Version(VERSION), "run `make install`"


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_attribute_of_a_package_is_an_error(package: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = importlib.import_module(f"modelmonitor_{package}").nonsense


@pytest.mark.parametrize("package", PACKAGES)
def test_version_of_a_wheel_comes_from_the_file(package: str) -> None:
    from hatchling.metadata.core import ProjectMetadata
    from hatchling.plugin.manager import PluginManager

    metadata = ProjectMetadata(str(ROOT / package), PluginManager())
    assert Version(metadata.version) == Version(VERSION)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_require_each_other_at_the_same_version(package: str) -> None:
    text = (ROOT / package / "pyproject.toml").read_text()
    requirements = re.findall(r'"(modelmonitor-[a-z]+)(.*)",', text)
    assert [extra for _, extra in requirements] == [f"=={VERSION}"] * len(requirements), HINT
    assert bool(requirements) == (package != "api")


def test_every_copy_agrees(script: ModuleType) -> None:
    for path in script.COPIES:
        copies = script.copies(path)
        assert copies, path
        assert set(copies) == {VERSION}, f"{path}: {HINT}"


def test_chart_has_the_version() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "modelmonitor" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION), HINT


def test_generated_manifests_have_the_version() -> None:
    text = (ROOT / "manifests" / "install.yaml").read_text()
    images = re.findall(r"modelmonitor/(?:operator|trainer):([^\"\s]+)", text)
    labels = re.findall(r"app\.kubernetes\.io/version: \"?([^\"\s]+)", text)
    charts = re.findall(r"helm\.sh/chart: modelmonitor-(\S+)", text)
    assert len(images) == 2
    assert {*images, *labels, *charts} == {VERSION}, "run `make manifests`"


def test_images_are_built_with_the_version_file() -> None:
    assert "!VERSION" in (ROOT / ".dockerignore").read_text().splitlines()
    for name in ("operator", "trainer"):
        assert "COPY VERSION /src/VERSION\n" in (ROOT / f"Dockerfile.{name}").read_text()


def test_changelog_has_a_section_for_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert "-rc." in VERSION or VERSION in headings


def test_the_script_sets_the_version_everywhere(script: ModuleType, tmp_path: Path) -> None:
    for path in ("VERSION", "hack/version.py", *script.COPIES):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    copy = tmp_path / "hack" / "version.py"
    subprocess.run([sys.executable, copy, "1.2.3-rc.4"], check=True)
    assert (tmp_path / "VERSION").read_text() == "1.2.3-rc.4\n"
    for path, pattern in script.COPIES.items():
        text = (tmp_path / path).read_text()
        assert {match["version"] for match in re.finditer(pattern, text)} == {"1.2.3-rc.4"}
        assert text.replace("1.2.3-rc.4", VERSION) == (ROOT / path).read_text()
    printed = subprocess.run([sys.executable, copy], check=True, capture_output=True, text=True)
    assert printed.stdout == "1.2.3-rc.4\n"


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3.dev1", "latest", ""])
def test_the_script_refuses_what_is_not_a_version(version: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "hack" / "version.py", version], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "is not a version" in done.stderr
    assert (ROOT / "VERSION").read_text().strip() == VERSION


@pytest.mark.parametrize("package", PACKAGES)
def test_wheels_carry_the_license(package: str) -> None:
    assert (ROOT / package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
