"""YAML as kubectl reads it, so that a file means the same on a command line and in a cluster.

PyYAML and the library of kubectl (sigs.k8s.io/yaml, with the rules of go-yaml 2) differ in a few words: kubectl reads
``y`` and ``n`` as booleans and ``1e3`` as a number, and refuses a key that is given twice.
"""

from __future__ import annotations

import re
from typing import Any

import yaml


class DuplicateKey(Exception):
    """A key that an object has twice; the message begins with line and column."""


class ManifestLoader(yaml.SafeLoader):
    """Loader of manifests."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; the same key twice is an error."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in seen:
                mark = key.start_mark
                raise DuplicateKey(f"{mark.line + 1}:{mark.column + 1}: {key.value!r} is given twice; remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_float(self, node: Any) -> float:
        """Return a number, also one such as 1e3."""
        return float(node.value) if _EXPONENT.fullmatch(node.value) else float(super().construct_yaml_float(node))

    def construct_yaml_bool(self, node: Any) -> bool:
        """Return a boolean, also of y and n."""
        return node.value.lower() == "y" if len(node.value) == 1 else bool(super().construct_yaml_bool(node))


_BOOLEAN, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+|[0-9]*\.[0-9]+|[0-9]+\.)[eE][-+]?[0-9]+")
ManifestLoader.add_implicit_resolver(_BOOLEAN, re.compile(r"[yYnN]$"), list("yYnN"))
ManifestLoader.add_implicit_resolver(_FLOAT, re.compile(f"{_EXPONENT.pattern}$"), list("-+0123456789."))
ManifestLoader.add_constructor(_BOOLEAN, ManifestLoader.construct_yaml_bool)
ManifestLoader.add_constructor(_FLOAT, ManifestLoader.construct_yaml_float)
