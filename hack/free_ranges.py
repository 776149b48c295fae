#!/usr/bin/env python3
"""Refuse address ranges that the machine's own network uses: routes, addresses and name servers.

usage: free_ranges.py RANGE...

A cluster that took such a range would cut the machine off from whatever lives there. Interfaces that docker made are the
cluster's own and do not count.
"""

import ipaddress
import json
import pathlib
import shutil
import subprocess
import sys

OURS = ("docker", "br-", "veth")


def used_ranges():
    """Yield every range in use, each with what uses it."""
    routes = subprocess.run(["ip", "-json", "-4", "route", "show", "table", "all"], capture_output=True, text=True, check=True)
    for route in json.loads(routes.stdout):
        if route["dst"] != "default" and not route.get("dev", "").startswith(OURS):
            yield ipaddress.ip_network(route["dst"], strict=False), f"a route of {route.get('dev', 'this machine')}"
    resolver = pathlib.Path("/etc/resolv.conf")
    for line in resolver.read_text().splitlines() if resolver.exists() else []:
        match line.split():
            case ["nameserver", address, *_] if ":" not in address:
                yield ipaddress.ip_network(address), "a name server"


def main(wanted):
    if not shutil.which("ip"):  # not Linux: docker's networks live in a virtual machine of their own
        return
    used = list(used_ranges())
    for text in wanted:
        network = ipaddress.ip_network(text, strict=False)
        for other, what in used:
            if network.overlaps(other):
                sys.exit(f"error: the cluster wants {network}, but {other} is {what} on this machine")


main(sys.argv[1:])
