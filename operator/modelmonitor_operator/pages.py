"""Addresses of the pages over the monitors, which another program serves (``modelmonitor ui``)."""

from __future__ import annotations


def page_url(pages_url: str, namespace: str, name: str) -> str | None:
    """Return the address of a monitor's page; None if nobody has declared where the pages are."""
    return f"{pages_url}/monitors/{namespace}/{name}" if pages_url else None
