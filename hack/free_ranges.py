#!/usr/bin/env python3
"""Refuse address ranges that the machine's own network uses: routes, addresses and name servers.

usage: free_ranges.py RANGE...

A cluster that took such a range would cut the machine off from whatever lives there.
Interfaces that docker made are the cluster's own and do not count.
"""

import ipaddress
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

OURS = ("docker", "br-", "veth")


def used_ranges() -> Iterator[tuple[ipaddress.IPv4Network, str]]:
    """Yield every range in use, each with what uses it."""
    command = ["ip", "-json", "-4", "route", "show", "table", "all"]
    for route in json.loads(subprocess.run(command, capture_output=True, check=True).stdout):
        if route["dst"] != "default" and not route.get("dev", "").startswith(OURS):
            yield ipaddress.IPv4Network(route["dst"], strict=False), f"a route of {route.get('dev', 'this machine')}"
    resolver = pathlib.Path("/etc/resolv.conf")
    for line in resolver.read_text().splitlines() if resolver.exists() else []:
        match line.split():
            case ["nameserver", address, *_] if ":" not in address:
                yield ipaddress.IPv4Network(address), "a name server"


def main(wanted: list[str]) -> None:
    """Exit with a message when one of the wanted ranges is in use."""
    if not shutil.which("ip"):  # not Linux: docker's networks live in a virtual machine of their own
        return
    used = list(used_ranges())
    for text in wanted:
        network = ipaddress.IPv4Network(text, strict=False)
        for other, what in used:
            if network.overlaps(other):
                sys.exit(f"error: the cluster wants {network}, but {other} is {what} on this machine")


main(sys.argv[1:])
