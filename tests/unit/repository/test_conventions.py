"""Workflows, the Makefile, scripts and configuration files refer to what exists."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
SCRIPTS = sorted([*(ROOT / "hack").glob("*.sh"), *(ROOT / "hack" / "offline").glob("*.sh"), ROOT / ".ci" / "run"])
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


@functools.cache
def tracked_files() -> dict[Path, str]:
    """Return the text of every file that git tracks or would add; binary and generated files are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = {}
    for path in (ROOT / name for name in listed.split("\0") if name):
        if path.is_file() and path.suffix not in {".sum", ".jsonl"}:
            with contextlib.suppress(UnicodeDecodeError):
                files[path] = path.read_text(encoding="utf-8")
    return files


def workflow(path: Path) -> dict[str, Any]:
    """Return a workflow; YAML 1.1 reads its key ``on`` as true."""
    loaded = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in loaded.items()}


def steps(path: Path) -> list[dict[str, Any]]:
    """Return the steps of every job of a workflow."""
    return [step for job in workflow(path)["jobs"].values() for step in job.get("steps", [])]


def commands(path: Path) -> str:
    """Return everything that a workflow runs."""
    return "\n".join(step["run"] for step in steps(path) if "run" in step)


# Workflows


def test_there_are_the_four_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yaml", "docs.yaml", "nightly.yaml", "release.yaml"]


def test_ci_runs_the_test_command_and_so_does_ci_run() -> None:
    ci = ROOT / ".github" / "workflows" / "ci.yaml"
    assert ".ci/run" in [step.get("run") for step in steps(ci)]
    assert {"pull_request", "push"} <= set(workflow(ci)["on"])
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_is_complete(path: Path) -> None:
    loaded = workflow(path)
    assert loaded["name"]
    assert loaded["permissions"] == {"contents": "read"}, "jobs that need more ask for it themselves"
    for name, job in loaded["jobs"].items():
        if "uses" in job:
            continue
        assert job["timeout-minutes"] <= 90, name
        assert job["runs-on"] == "ubuntu-24.04", name
        for needed in [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", []):
            assert needed in loaded["jobs"], name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+(\.\d+\.\d+)?|[0-9a-f]{40})", step["uses"])
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
    for job in workflow(path)["jobs"].values():
        if "uses" in job:
            assert (ROOT / job["uses"]).is_file()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_expands_no_untrusted_text_in_a_shell(path: Path) -> None:
    # A title or a branch name could hold commands. What a script needs comes in its environment.
    assert "${{" not in commands(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_calls_targets_and_scripts_that_exist(path: Path) -> None:
    known = TARGETS | ({"docs"} if not (ROOT / "mkdocs.yml").exists() else set())
    assert set(re.findall(r"\bmake ([a-z-]+)", commands(path))) <= known
    for script in re.findall(r"(?<![\w/])((?:hack|\.ci)/[\w./-]+)", commands(path)):
        assert os.access(ROOT / script, os.X_OK), script


def test_the_site_that_is_published_is_the_one_that_is_built() -> None:
    (upload,) = (
        step
        for step in steps(ROOT / ".github" / "workflows" / "docs.yaml")
        if step.get("uses", "").startswith("actions/upload-pages-artifact@")
    )
    settings = ROOT / "mkdocs.yml"
    built = re.search(r"^site_dir: (\S+)", settings.read_text(), re.MULTILINE) if settings.exists() else None
    assert upload["with"]["path"] == (built[1] if built else "build/site")


def test_release_signs_and_describes_what_it_publishes() -> None:
    path = ROOT / ".github" / "workflows" / "release.yaml"
    jobs = workflow(path)["jobs"]
    (build,) = (step for step in jobs["image"]["steps"] if step.get("uses", "").startswith("docker/build-push-action@"))
    assert build["with"]["sbom"] is True
    assert build["with"]["provenance"] == "mode=max"
    assert sorted(jobs["image"]["strategy"]["matrix"]["name"]) == ["operator", "trainer"]
    for name in ("image", "chart", "release"):
        assert jobs[name]["permissions"]["id-token"] == "write"
        assert any("cosign sign" in step.get("run", "") for step in jobs[name]["steps"]), name
    assert set(jobs["release"]["needs"]) == {"version", "package", "image", "chart"}
    assert "test" in jobs["image"]["needs"]


# Tests


def test_each_package_of_the_trainer_has_a_folder_of_tests() -> None:
    packages = {path.parent.name for path in (ROOT / "trainer" / "modelmonitor_trainer").glob("*/__init__.py")}
    assert packages <= {path.name for path in (ROOT / "tests" / "unit").iterdir()}


# The Makefile and scripts


def test_every_target_is_explained() -> None:
    phony = set(re.findall(r"^\.PHONY: (\S+)$", MAKEFILE, re.MULTILINE))
    explained = set(re.findall(r"^([a-z][a-z-]*):.*## \S", MAKEFILE, re.MULTILINE))
    assert phony == TARGETS == explained
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert all(re.search(rf"^  {target} +\S", shown.stdout, re.MULTILINE) for target in TARGETS)


def test_every_script_is_explained() -> None:
    text = (ROOT / "hack" / "README.md").read_text()
    names = {path.name for path in (ROOT / "hack").iterdir() if path.name not in {"README.md", "__pycache__", "mlflow"}}
    missing = {name for name in names if f"`{name}" not in text}
    assert not missing


def test_every_script_that_the_makefile_runs_exists() -> None:
    scripts = re.findall(r"^\t@?(hack/[\w./-]+)", MAKEFILE, re.MULTILINE)
    assert "hack/offline/binaries.sh" in scripts
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_is_valid_bash(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)


def test_scripts_run_and_source_files_that_exist() -> None:
    folders = {"HACK": ROOT / "hack", "OFFLINE": ROOT / "hack" / "offline"}
    for path in SCRIPTS:
        for folder, name in re.findall(r"\"\$(HACK|OFFLINE)/([\w./-]+)\"", path.read_text()):
            if name != "..":
                assert (folders[folder] / name).exists(), f"{path.name}: {folder}/{name}"
        for name in re.findall(r"\$\(dirname \"\$0\"\)/([\w./-]+)\"", path.read_text()):
            assert (path.parent / name).exists(), f"{path.name}: {name}"


def test_paths_of_scripts_in_any_file_exist() -> None:
    for path, text in tracked_files().items():
        if path.name == "CHANGELOG.md":
            continue
        for script in re.findall(r"(?<![\w/.-])hack/[\w/-]+\.(?:sh|py|env|yaml)\b", text):
            assert (ROOT / script).is_file(), f"{path.relative_to(ROOT)}: {script}"


def make_calls(markdown: str) -> list[str]:
    """Return the arguments of every call of make in the code of a document."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)
    calls = [call for block in fenced for call in re.findall(r"^(?:\$ )?make ([^#\n]+)", block, re.MULTILINE)]
    return [
        *calls,
        *re.findall(r"^    make ([^#\n]+)", markdown, re.MULTILINE),
        *re.findall(r"`make ([^`]+)`", markdown),
    ]


def test_make_targets_in_documents_exist() -> None:
    seen = set()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]:
        for call in make_calls(path.read_text()):
            words = {word for word in call.split() if re.fullmatch(r"[a-z][a-z-]*", word)}
            assert words <= TARGETS | {"docs"}, f"{path.relative_to(ROOT)}: make {call}"
            seen |= words
    assert {"install", "test", "demo", "version"} <= seen


def test_links_between_documents_lead_to_files() -> None:
    folders = ("hack", "charts", "examples", ".github")
    documents = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    for path in documents:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            if not re.match(r"https?://|mailto:", target):
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"


def test_caches_do_not_depend_on_the_path_of_the_checkout() -> None:
    # sha256sum prints the names of its files: with an absolute one, two checkouts would never share an image.
    for path in SCRIPTS:
        assert not re.search(r"sha256sum[^|;}]*\$(HACK|OFFLINE|PWD)", path.read_text()), path.name


# Other configuration


def test_no_file_names_a_container_registry() -> None:
    hosts = re.compile(r"\b(?:ghcr|gcr|quay|mcr\.microsoft|docker)\.(?:io|com)/\S")
    for path, text in tracked_files().items():
        if path.suffix != ".go":
            assert not hosts.search(text), path.relative_to(ROOT)


def test_pre_commit_uses_only_the_environment_of_the_repository() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    entries = [hook["entry"] for hook in config["repos"][0]["hooks"]]
    for entry in entries:
        program, *arguments = entry.split()
        assert program.startswith(".venv/bin/") or program == "make"
        for argument in arguments:
            if program == "make":
                assert argument in {"--no-print-directory", *TARGETS}
            elif "/" in argument:
                assert (ROOT / argument).exists(), argument
    text = "\n".join(entries)
    assert all(
        tool in text for tool in ("ruff check", "ruff format", "test-types", "lint-imports", "test_generated.py")
    )


def test_dependabot_looks_into_folders_that_exist() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "github-actions", "gomod", "docker"}
    needed = {"pip": "*.txt", "github-actions": ".github/workflows/*.yaml", "gomod": "go.mod", "docker": "Dockerfile*"}
    for update in updates:
        for folder in update.get("directories", [update.get("directory")]):
            assert list(ROOT.glob(f"{folder}/{needed[update['package-ecosystem']]}".lstrip("/"))), folder


def test_every_dockerfile_and_go_module_is_kept_up_to_date() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    folders = {update["package-ecosystem"]: update.get("directories", []) for update in updates}
    for path in tracked_files():
        if path.name.startswith("Dockerfile"):
            covered = [ROOT / name.lstrip("/") for name in folders["docker"]]
            assert path.parent in covered, path.relative_to(ROOT)
        if path.name == "go.mod":
            covered = [folder for name in folders["gomod"] for folder in ROOT.glob(name.lstrip("/"))]
            assert path.parent in covered, path.relative_to(ROOT)


def test_code_owners_name_paths_that_exist() -> None:
    lines = (ROOT / ".github" / "CODEOWNERS").read_text().splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    assert rules[0][0] == "*"
    for pattern, *owners in rules:
        assert owners
        assert all(owner.startswith("@") for owner in owners)
        assert list(ROOT.glob(pattern.strip("/"))), pattern


@pytest.mark.parametrize("name", ["bug_report", "feature_request"])
def test_issue_form_is_valid(name: str) -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_dev_container_is_valid() -> None:
    folder = ROOT / ".devcontainer"
    config = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / config["build"]["dockerfile"]).is_file()
    for script in re.findall(r"hack/[\w/.-]+", f"{config['postCreateCommand']} {config['postStartCommand']}"):
        assert os.access(ROOT / script, os.X_OK), script
    assert set(re.findall(r"\bmake ([a-z-]+)", config["postCreateCommand"])) <= TARGETS


def test_the_build_context_holds_everything_that_dockerfiles_copy() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    for path in [*ROOT.glob("Dockerfile.*"), ROOT / "hack" / "mlflow" / "Dockerfile"]:
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text(), re.MULTILINE):
            for source in sources.split():
                assert source.split("/")[0] in admitted, f"{path.name}: {source}"
                assert (ROOT / source).exists()


@pytest.mark.parametrize(
    "path",
    [
        ".venv",
        "dist/modelmonitor-1.2.3.tgz",
        "build/site/index.html",
        "demo-output/check.html",
        "trainer/modelmonitor_trainer/profile/_binning.so",
        "api/modelmonitor_api/__pycache__/names.pyc",
        ".coverage",
    ],
)
def test_git_ignores_what_is_built(path: str) -> None:
    subprocess.run(["git", "check-ignore", "--quiet", path], cwd=ROOT, check=True)
