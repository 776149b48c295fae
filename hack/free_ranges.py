#!/usr/bin/env python3
"""Reject address ranges that the machine already uses: routes, addresses and name servers.

usage: free_ranges.py RANGE...

A cluster with such a range would cut the machine off from the hosts in it. Docker's own interfaces do not count.
"""

import ipaddress
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

DOCKER_INTERFACES = ("docker", "br-", "veth")


def used_ranges() -> Iterator[tuple[ipaddress.IPv4Network, str]]:
    """Yield every range in use, with its use."""
    command = ["ip", "-json", "-4", "route", "show", "table", "all"]
    for route in json.loads(subprocess.run(command, capture_output=True, check=True).stdout):
        if route["dst"] != "default" and not route.get("dev", "").startswith(DOCKER_INTERFACES):
            yield ipaddress.IPv4Network(route["dst"], strict=False), f"a route of {route.get('dev', 'this machine')}"
    resolver = pathlib.Path("/etc/resolv.conf")
    for line in resolver.read_text().splitlines() if resolver.exists() else []:
        match line.split():
            case ["nameserver", address, *_] if ":" not in address:
                yield ipaddress.IPv4Network(address), "a name server"


def main(wanted: list[str]) -> None:
    """Exit with a message if one of the wanted ranges is in use."""
    if not shutil.which("ip"):  # not Linux: docker's networks live in a virtual machine of their own
        return
    used = list(used_ranges())
    for text in wanted:
        network = ipaddress.IPv4Network(text, strict=False)
        for other, what in used:
            if network.overlaps(other):
                sys.exit(f"error: the cluster wants {network}, but {other} is {what} on this machine")


main(sys.argv[1:])
