"""Addresses of the site: what a path asks for, and the links of the page of a monitor, which are relative to it."""

from __future__ import annotations

import re

_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
_PAGE = rf"/monitors/({_NAME})/({_NAME})"
#: Namespace and name; whether a slash follows, to which links are relative.
MONITOR = re.compile(rf"{_PAGE}(/?)")
#: Namespace, name, and the folder of a check.
CHECK = re.compile(rf"{_PAGE}/checks/(\d{{8}}T\d{{6}}Z-{_NAME})")
#: Namespace, name, and the number of a training.
TRAINING = re.compile(rf"{_PAGE}/trainings/(\d{{1,9}})")


def check_link(folder: str) -> str:
    """Return the link to the page of a check."""
    return f"checks/{folder}"


def training_link(number: str) -> str:
    """Return the link to the page of a training."""
    return f"trainings/{number}"


def fleet_link(path: str) -> str:
    """Return the link to the fleet, relative to a path."""
    return "../" * max(0, path.count("/") - 1) or "./"
