"""Positions of values in a YAML file: line and column, for messages that an editor can open."""

from __future__ import annotations

import yaml

from modelmonitor_api.resource import Path


def find_position(text: str, kind: str, path: Path) -> tuple[int, int] | None:
    """Return line and column of a value, from 1.

    Parameters
    ----------
    text
        A YAML file.
    kind
        Kind of the document.
    path
        Names of keys and indices of lists. Of a path that does not exist, the last part that does counts.

    Returns
    -------
    (int, int)
        The position of the key, or of the item of a list; None if there is no such document.
    """
    document = _find_document(text, kind)
    return None if document is None else _position(document, path)


def find_plain_text(text: str, kind: str, path: Path) -> str | None:
    """Return the characters of a value that is written without quotes; None for any other value.

    Parameters
    ----------
    text
        A YAML file.
    kind
        Kind of the document.
    path
        Names of keys and indices of lists.
    """
    document = _find_document(text, kind)
    return None if document is None else _plain_text(document, path)


def _find_document(text: str, kind: str) -> yaml.Node | None:
    for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
        children = _children(document)
        if kind in (getattr(value, "value", None) for key, (_, value) in children.items() if key == "kind"):
            return document
    return None


def _plain_text(node: yaml.Node, path: Path) -> str | None:
    for part in path:
        child = _children(node).get(part)
        if child is None:
            return None
        node = child[1]
    return str(node.value) if isinstance(node, yaml.ScalarNode) and node.style is None else None


def _position(node: yaml.Node, path: Path) -> tuple[int, int]:
    mark = node.start_mark
    for part in path:
        child = _children(node).get(part)
        if child is None:
            break
        mark, node = child[0].start_mark, child[1]
    return mark.line + 1, mark.column + 1


def _children(node: yaml.Node | None) -> dict[str | int, tuple[yaml.Node, yaml.Node]]:
    """Return key or index → the node at its position, and the value."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    if isinstance(node, yaml.SequenceNode):
        return {index: (value, value) for index, value in enumerate(node.value)}
    return {}
