"""Patterns match what a shell matches."""

import glob

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_trainer.data.path_pattern import Match, PathPattern

BASE = "file:///lake/"
FILES = [
    "a.csv",
    "ab.csv",
    "b.parquet",
    "_hidden.csv",
    ".dot.csv",
    "[x].csv",
    "archive/a.csv",
    "archive/old/a.csv",
    "archive/.x/a.csv",
    "_temporary/0/a.csv",
    "d=1/a.csv",
    "d=2/a.csv",
    "_d=3/a.csv",
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def files_of(text):
    pattern = PathPattern.of(f"{BASE}{text}")
    assert pattern is not None
    return [name for name in FILES if pattern.match(f"{BASE}{name}") is Match.FILE]


def hidden(name):
    return any(part.startswith("_") and "=" not in part for part in name.split("/"))


PART = st.text("ab*?.=d1[]c!", min_size=1, max_size=5) | st.sampled_from(
    ["*", "**", "archive", "*.csv", "d=*", "[ab]*"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PART, min_size=1, max_size=3))
def test_a_pattern_matches_the_files_that_a_shell_matches(tree, parts):
    # Paths are normalized before; what "**" next to other characters and "[]" mean differs between shells.
    text = "/".join(parts)
    odd = any(part in {".", ".."} or ("**" in part and part != "**") for part in parts)
    if PathPattern.of(text) is None or odd or "[]" in text:
        return
    expected = {
        name
        for name in glob.glob(text, root_dir=tree, recursive=True)  # noqa: PTH207 - the rules of a shell for hidden files
        if (tree / name).is_file() and not (hidden(name) and not hidden(text))
    }
    assert set(files_of(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*.csv", ["a.csv", "ab.csv", "[x].csv"]),
        ("a?.csv", ["ab.csv"]),
        ("[!b]*.csv", ["a.csv", "ab.csv", "[x].csv"]),
        ("_*.csv", ["_hidden.csv"]),
        ("_temporary/*/a.csv", ["_temporary/0/a.csv"]),
        ("*/a.csv", ["archive/a.csv", "d=1/a.csv", "d=2/a.csv", "_d=3/a.csv"]),
        ("d=[12]/*", ["d=1/a.csv", "d=2/a.csv"]),
        ("[[x]x].csv", ["[x].csv"]),
        ("[[a]*.csv", ["a.csv", "ab.csv", "[x].csv"]),
        ("{a,b}.*", ["a.csv", "b.parquet"]),
        ("{archive/old,d=[12]}/*.csv", ["archive/old/a.csv", "d=1/a.csv", "d=2/a.csv"]),
        ("a{,b}.{csv,parquet}", ["a.csv", "ab.csv"]),
        ("d={1,{2,3}}/a.csv", ["d=1/a.csv", "d=2/a.csv"]),
        ("**/old/*", ["archive/old/a.csv"]),
        ("archive/**", ["archive/a.csv", "archive/old/a.csv"]),
        ("archive/**/a.csv", ["archive/a.csv", "archive/old/a.csv"]),
    ],
)
def test_patterns(text, expected):
    assert files_of(text) == expected


def test_a_pattern_of_folders_matches_what_is_below():
    pattern = PathPattern(f"{BASE}d=*")
    assert pattern.match(f"{BASE}d=1/x/a.csv") is Match.BELOW
    assert pattern.matched_folder(f"{BASE}d=1/x/a.csv") == f"{BASE}d=1/"
    assert pattern.match(f"{BASE}_d=1/a.csv") is None
    assert PathPattern(f"{BASE}*/").match(f"{BASE}a.csv") is None
    assert PathPattern(f"{BASE}*/").match(f"{BASE}d=1/a.csv") is Match.BELOW


def test_what_a_pattern_selects():
    assert PathPattern("s3://b/date=2024-*/region=*/x=**/p").selected_keys == {"date"}
    assert PathPattern("s3://b/t/pa*").prefix == "s3://b/t/pa"
    assert PathPattern("s3://b/t/pa*").folder == "s3://b/t/"
    assert PathPattern("s3://b/t/{a,b}/x").prefix == "s3://b/t/"
    assert PathPattern("s3://b/{a,b}").matched_folder("s3://b/b/x.csv") == "s3://b/b/"
    assert PathPattern.of("s3://b/t/") is None
    assert PathPattern.of("s3://b/{t}/") is None, "a choice needs a comma, as in a shell"
