"""The environment of a training: versions of libraries, and a digest of everything that is installed."""

from __future__ import annotations

import hashlib
import importlib.metadata


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that determine a model."""
    names = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "skops")
    return {name: importlib.metadata.version(name) for name in names}


def installed_digest() -> str:
    """Return the SHA-256 of all installed distributions: their names, versions and lists of files.

    A pod does not know the digest of its own image. This digest identifies the code that trained the model,
    ModelMonitor itself included; equal images give equal digests.
    """
    digest = hashlib.sha256()
    distributions = {
        (dist.name, dist.version, dist.read_text("RECORD") or "")
        for dist in importlib.metadata.distributions()
        if dist.name
    }
    for name, version, files in sorted(distributions):
        digest.update(f"{name} {version} {hashlib.sha256(files.encode()).hexdigest()}\n".encode())
    return digest.hexdigest()
