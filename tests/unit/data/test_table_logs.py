"""The log of a Delta table names the current files; what is not supported is refused by name."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_trainer.data.table_logs import files_of_tables, read_delta_table
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store


class Table:
    """A folder with a log."""

    def __init__(self, path):
        self.path, self.root, self.store = path, uri_of(path), open_store(None)

    def write(self, name, content=b"x"):
        self.store.write(f"{self.root}/{name}", content)

    def commit(self, version, *actions):
        lines = "\n".join(json.dumps(action) for action in actions)
        self.write(f"_delta_log/{version:020d}.json", lines.encode())

    def checkpoint(self, name, paths, configuration=()):
        adds = [{"path": path, "deletionVector": None} for path in paths]
        rows = [{"add": add, "remove": None, "metaData": None} for add in adds]
        rows.append({"add": None, "remove": None, "metaData": {"configuration": list(configuration)}})
        kind = pa.struct([("path", pa.string()), ("deletionVector", pa.struct([("storageType", pa.string())]))])
        meta = pa.struct([("configuration", pa.map_(pa.string(), pa.string()))])
        schema = pa.schema([("add", kind), ("remove", pa.struct([("path", pa.string())])), ("metaData", meta)])
        (self.path / "_delta_log").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema), self.path / "_delta_log" / name)

    def live(self):
        return sorted(uri.removeprefix(f"{self.root}/") for uri in read_delta_table(self.store, self.root).live)


@pytest.fixture
def table(tmp_path):
    return Table(tmp_path / "table")


def add(path, **more):
    return {"add": {"path": path, **more}}


def remove(path):
    return {"remove": {"path": path}}


def test_commits_are_applied_in_order(table):
    table.commit(0, {"protocol": {"minReaderVersion": 1}}, add("a.parquet"), add("d=1%202/b.parquet"))
    table.commit(1, remove("a.parquet"), add("c.parquet"))
    table.commit(2, add("a.parquet"))
    for name in (
        "_last_checkpoint",
        "00000000000000000001.crc",
        "00000000000000000000.00000000000000000001.compacted.json",
    ):
        table.write(f"_delta_log/{name}", b"{}")
    assert table.live() == ["a.parquet", "c.parquet", "d=1 2/b.parquet"]


def test_a_file_that_is_removed_and_added_in_one_commit_is_current(table):
    table.commit(0, add("a.parquet"))
    table.commit(1, add("a.parquet"), remove("a.parquet"))
    assert table.live() == ["a.parquet"]


@pytest.mark.parametrize("parts", [1, 2])
def test_a_checkpoint_replaces_the_commits_before_it(table, parts):
    names = ["a.parquet", "b.parquet"]
    if parts == 1:
        table.checkpoint("00000000000000000010.checkpoint.parquet", names)
    for part in range(parts if parts > 1 else 0):
        table.checkpoint(
            f"00000000000000000010.checkpoint.{part + 1:010d}.{parts:010d}.parquet", names[part : part + 1]
        )
    table.commit(9, add("gone.parquet"))
    table.commit(10, add("also gone.parquet"))
    table.commit(11, remove("b.parquet"), add("c.parquet"))
    assert table.live() == ["a.parquet", "c.parquet"]


def test_an_incomplete_checkpoint_is_not_used(table):
    table.commit(0, add("a.parquet"))
    table.commit(1, add("b.parquet"))
    table.checkpoint(f"{1:020d}.checkpoint.{1:010d}.{2:010d}.parquet", ["a.parquet"])
    assert table.live() == ["a.parquet", "b.parquet"]


def test_a_log_without_its_beginning_names_what_it_has(table):
    table.commit(3, add("a.parquet"), remove("b.parquet"))
    assert table.live() == ["a.parquet"]


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        ([add("a.parquet", deletionVector={"storageType": "u"})], "deletion vectors"),
        ([{"metaData": {"configuration": {"delta.columnMapping.mode": "name"}}}], "columnMapping"),
        ([add("s3://other/a.parquet")], "lists the file s3://other/a.parquet of another folder"),
    ],
)
def test_what_is_not_supported_is_refused(table, actions, reason):
    table.commit(0, *actions)
    with pytest.raises(BadConfiguration, match=reason):
        table.live()


def test_mapped_columns_of_a_checkpoint_are_refused(table):
    table.checkpoint(f"{4:020d}.checkpoint.parquet", ["a.parquet"], [("delta.columnMapping.mode", "id")])
    with pytest.raises(BadConfiguration, match="columnMapping"):
        table.live()


def test_checkpoints_of_version_2_alone_are_refused(table):
    table.write(f"_delta_log/{7:020d}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json")
    table.commit(8, add("a.parquet"))
    with pytest.raises(BadConfiguration, match="version 2"):
        table.live()


@pytest.mark.parametrize("content", [b"{", b"[]", b'"add"', b'{"add": {}}', b'{"add": 1}', b"\xff"])
def test_a_log_that_cannot_be_read_is_named(table, content):
    table.write(f"_delta_log/{0:020d}.json", content)
    with pytest.raises(BadData, match=r"the log of the Delta table file://.*/table/ cannot be read"):
        table.live()


def test_a_commit_that_is_missing_is_named(table):
    for version in (0, 1, 3):
        table.commit(version, add(f"{version}.parquet"))
    with pytest.raises(BadData, match="lacks the commit of version 2"):
        table.live()


def listed(table, folder=""):
    files = files_of_tables(table.store, f"{table.root}/{folder}", table.store.list(f"{table.root}/{folder}"))
    kept = [info.uri.removeprefix(f"{table.root}/") for info in files.objects if "_delta_log" not in info.uri]
    return kept, [(item.reason, item.name.removeprefix(f"{table.root}/")) for item in files.left_out]


def test_files_that_the_table_has_removed_are_left_out(table):
    table.commit(0, add("new.parquet"), add("d=1/lost.parquet"), add("d=1/kept.parquet"))
    for name in ("new.parquet", "old.parquet", "d=1/kept.parquet", "d=1/old.parquet", "note.txt"):
        table.write(name)
    kept, left_out = listed(table)
    assert kept == ["d=1/kept.parquet", "new.parquet", "note.txt"]
    assert left_out == [
        (LeftOutReason.REMOVED_FROM_TABLE, "d=1/old.parquet"),
        (LeftOutReason.REMOVED_FROM_TABLE, "old.parquet"),
        (LeftOutReason.MISSING_FROM_TABLE, "d=1/lost.parquet"),
    ]
    assert listed(table, "d=1/")[0] == ["d=1/kept.parquet"], "a partition of the table"


def test_a_table_below_the_folder_is_read(table, tmp_path):
    table.commit(0, add("new.parquet"))
    table.write("new.parquet")
    table.write("old.parquet")
    outer = uri_of(tmp_path)
    files = files_of_tables(table.store, f"{outer}/", table.store.list(f"{outer}/"))
    assert [item.name for item in files.left_out] == [f"{table.root}/old.parquet"]


@pytest.mark.parametrize(
    ("name", "folder", "what"),
    [
        ("metadata/v1.metadata.json", "", "an Iceberg table"),
        ("metadata/00001-aa.metadata.json", "data/", "an Iceberg table"),
        ("metadata/00001-aa.metadata.json", "data/region=eu/", "an Iceberg table"),
        (".hoodie/hoodie.properties", "", "a Hudi table"),
        (".hoodie/hoodie.properties", "day=1/", "a Hudi table"),
    ],
)
def test_tables_whose_manifests_are_not_read_are_refused(table, name, folder, what):
    table.write(name)
    table.write(f"{folder}a.parquet")
    with pytest.raises(BadConfiguration, match=f"/table/ is {what}"):
        listed(table, folder)


def test_a_folder_named_metadata_is_no_table(table):
    table.write("metadata/schema.json")
    table.write("a.parquet")
    assert listed(table) == (["a.parquet", "metadata/schema.json"], [])
