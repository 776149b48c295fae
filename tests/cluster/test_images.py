"""The images of the project: small enough to be pulled to a new node within seconds."""

from __future__ import annotations

import subprocess

import pytest


@pytest.mark.parametrize(("name", "megabytes"), [("operator", 200), ("trainer", 600)])
def test_images_stay_small(name: str, megabytes: int) -> None:
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", f"modelmonitor/{name}:dev"]
    size = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert size <= megabytes * 10**6
