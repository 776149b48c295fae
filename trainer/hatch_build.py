"""Compiles the kernel beside its source, with whatever C compiler there is; without one numpy does its work."""

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
#: A version for newer processors beside the one for all, where compiler and loader can.
VERSIONS = ("-DMULTIVERSION",)


def compilers() -> list[list[str]]:
    """Return the commands of the C compilers of this machine, the best first."""
    named = [shlex.split(os.environ["CC"])] if os.environ.get("CC") else []
    installed = [[name] for name in ("cc", "gcc", "clang") if shutil.which(name)]
    # Unlike the others it compiles for the very processor that it runs on, where it is not told otherwise.
    zig = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
    packaged = [zig] if importlib.util.find_spec("ziglang") else []
    return [*named, *installed, *packaged]


class CustomBuildHook(BuildHookInterface):
    """Called by hatchling before a wheel is put together, an editable one as well."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile, and put the library into the wheel."""
        root = Path(self.root)
        library = root / LIBRARY
        library.unlink(missing_ok=True)
        for compiler, versions in itertools.product(compilers(), (VERSIONS, ())):
            done = subprocess.run(  # noqa: S603 - the compiler of whoever builds
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
        self.app.display_warning("no C compiler: numeric columns will be profiled with numpy, at twice the cost")
