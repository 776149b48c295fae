"""Build hook that compiles the C kernel next to its source. Without a C compiler, numpy is used at run time."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("modelmonitor_trainer/profile/binning.c")
LIBRARY = SOURCE.with_name("_binning.so")
# No fused multiply-add: the same sums on every processor.
FLAGS = ("-O3", "-g0", "-std=c99", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden")
#: Adds a variant for newer processors, if compiler and loader support it.
VERSIONS = ("-DMULTIVERSION",)


def compilers() -> list[list[str]]:
    """Return the commands of the available C compilers, the preferred one first."""
    named = [shlex.split(os.environ["CC"])] if os.environ.get("CC") else []
    installed = [[name] for name in ("cc", "gcc", "clang") if shutil.which(name)]
    # By default zig targets the processor that it runs on, unlike the others.
    zig = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
    packaged = [zig] if importlib.util.find_spec("ziglang") else []
    return [*named, *installed, *packaged]


class CustomBuildHook(BuildHookInterface):
    """Hook that hatchling calls before it builds a wheel, including editable ones."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile the library and add it to the wheel."""
        root = Path(self.root)
        library = root / LIBRARY
        library.unlink(missing_ok=True)
        for compiler, versions in itertools.product(compilers(), (VERSIONS, ())):
            done = subprocess.run(  # noqa: S603 - a compiler of this machine
                [*compiler, *FLAGS, *versions, "-o", library, root / SOURCE, "-lm"],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                build_data["artifacts"].append(LIBRARY.as_posix())
                build_data["pure_python"] = False
                build_data["infer_tag"] = True
                return
            self.app.display_warning(f"{' '.join(compiler)}: {done.stderr.strip()[-500:]}")
        self.app.display_warning("no C compiler: numeric columns are profiled with numpy, at twice the cost")
