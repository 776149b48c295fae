"""Certificates of test servers, made by helm, which the API-server tests need in any case."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.processes import program

_TEMPLATE = """{{- $authority := genCA "another-authority" 10 }}
{{- $server := genSignedCert "127.0.0.1" (list "127.0.0.1") nil 10 $authority }}
{{- dict "authority" $authority.Cert "certificate" $server.Cert "key" $server.Key | toJson }}
"""


@dataclass(frozen=True)
class Certificate:
    """The certificate of a server on 127.0.0.1, its key, and the certificate of the authority that has signed it."""

    authority: Path
    certificate: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Make a certificate with an authority of its own; the files are written into a new folder."""
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: certificates, version: 0.0.0}")
    (chart / "templates" / "certificates.yaml").write_text(_TEMPLATE)
    command = [str(program("helm")), "template", "certificates", str(chart)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    texts = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    paths = {name: folder / f"{name}.pem" for name in ("authority", "certificate", "key")}
    for name, path in paths.items():
        path.write_text(texts[name])
    return Certificate(**paths)
