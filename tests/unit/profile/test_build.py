"""How the kernel is compiled where the trainer is installed."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def build_hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "trainer" / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_compiler_from_a_wheel_does_not_compile_for_this_processor_alone(monkeypatch):
    """An image is built on one machine and runs on another."""
    hook = build_hook()
    monkeypatch.setattr(hook.importlib.util, "find_spec", lambda name: name == "ziglang")
    assert hook.compilers()[-1] == [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]


def test_a_compiler_that_is_named_comes_first(monkeypatch):
    monkeypatch.setenv("CC", "gcc -m64")
    assert build_hook().compilers()[0] == ["gcc", "-m64"]
