#!/usr/bin/env python3
"""Write an SPDX 2.3 SBOM next to each wheel and chart of a release; those of images are made when they are built.

usage: hack/sbom.py FILE...     (wheels *.whl, and packaged charts *.tgz; of X, it writes X.spdx.json)

A wheel depends on the distributions that its metadata requires, in the versions that these allow; a chart on the images
that its values name.
"""

from __future__ import annotations

import datetime as dt
import email
import hashlib
import json
import os
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

#: Fields of a package whose content is not described.
UNKNOWN = {"downloadLocation": "NOASSERTION", "filesAnalyzed": False, "copyrightText": "NOASSERTION"}


def main(arguments: list[str]) -> None:
    """Write the documents."""
    for name in arguments:
        path = Path(name)
        package, required = of_wheel(path) if path.suffix == ".whl" else of_chart(path)
        document = spdx_document(path, package, required)
        path.with_name(f"{path.name}.spdx.json").write_text(json.dumps(document, indent=1) + "\n")


def of_wheel(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a wheel as a package, and the distributions that it requires."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    required = []
    for requirement in metadata.get_all("Requires-Dist", []):
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        if match and "extra ==" not in requirement:
            exact = re.search(r"==([^\s,;*]+)", requirement)
            package = described(match[0], exact[1] if exact else None, f"pkg:pypi/{normalized(match[0])}")
            required.append(package | {"comment": f"Required as {requirement}"})
    purl = f"pkg:pypi/{normalized(metadata['Name'])}"
    return described(metadata["Name"], metadata["Version"], purl), required


def of_chart(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a packaged chart as a package, and the images that it runs."""
    with tarfile.open(path) as archive:
        chart, values = (_yaml_of(archive, name) for name in ("Chart.yaml", "values.yaml"))
    images = []
    for image in (values["image"], values["trainerImage"]):
        registry, _, name = image["repository"].rpartition("/")
        where = "/".join(part for part in (image["registry"], registry, name) if part)
        version = image["digest"] or image["tag"] or chart["appVersion"]
        images.append(described(where, version, f"pkg:oci/{name}"))
    return described(chart["name"], chart["version"], f"pkg:helm/{chart['name']}"), images


def described(name: str, version: str | None, purl: str) -> dict[str, Any]:
    """Return an SPDX package."""
    locator = f"{purl}@{version}" if version else purl
    reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator}
    identifier = f"SPDXRef-{re.sub(r'[^A-Za-z0-9.-]', '-', name)}"
    package = {"name": name, "SPDXID": identifier, "externalRefs": [reference], **UNKNOWN}
    return package | ({"versionInfo": version} if version else {})


def normalized(name: str) -> str:
    """Return the name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def spdx_document(path: Path, package: dict[str, Any], required: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the SPDX document of a file."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    checksum = {"algorithm": "SHA256", "checksumValue": digest}
    package = package | {"packageFileName": path.name, "checksums": [checksum], "licenseDeclared": "Apache-2.0"}
    created = dt.datetime.fromtimestamp(
        int(os.environ.get("SOURCE_DATE_EPOCH", dt.datetime.now(dt.UTC).timestamp())), dt.UTC
    )
    depends = [(package["SPDXID"], "DEPENDS_ON", other["SPDXID"]) for other in required]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": path.name,
        "documentNamespace": f"https://modelmonitor.io/spdx/{path.name}-{digest[:16]}",
        "creationInfo": {"created": f"{created:%Y-%m-%dT%H:%M:%SZ}", "creators": ["Tool: hack/sbom.py"]},
        "packages": [package, *required],
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in [("SPDXRef-DOCUMENT", "DESCRIBES", package["SPDXID"]), *depends]
        ],
    }


def _yaml_of(archive: tarfile.TarFile, name: str) -> Any:
    (member,) = (member for member in archive.getmembers() if member.name.split("/")[1:] == [name])
    file = archive.extractfile(member)
    assert file is not None
    return yaml.safe_load(file)


if __name__ == "__main__":
    main(sys.argv[1:])
