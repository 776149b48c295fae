"""The local store behaves as S3 does: listings, ETags, conditional writes."""

import hashlib
import threading

import pytest

from modelmonitor_api.spec import Storage
from modelmonitor_trainer.errors import BadConfiguration, CredentialsRefused, NotFound, ObjectChanged
from modelmonitor_trainer.errors import PreconditionFailed as Lost
from modelmonitor_trainer.storage import local
from modelmonitor_trainer.storage.base import plan_reads
from modelmonitor_trainer.storage.local import LocalStore, uri_of
from modelmonitor_trainer.storage.open import open_store


@pytest.fixture
def store():
    return open_store(None)


@pytest.fixture
def base(tmp_path):
    return uri_of(tmp_path) + "/"


def test_what_is_written_is_listed_headed_and_read(store, base):
    etag = store.write(f"{base}a/b.txt", b"one")
    (info,) = store.list(base)
    assert (info.uri, info.etag, info.size) == (f"{base}a/b.txt", etag, 3)
    assert info.last_modified.tzinfo is not None
    assert store.head(f"{base}a/b.txt") == info
    assert store.read(info.uri, etag=etag) == b"one"
    assert store.read_versioned(info.uri) == (b"one", etag)
    assert etag == hashlib.sha256(b"one").hexdigest()
    with store.open(info) as file:
        assert file.seekable()
        assert file.read() == b"one"


def test_a_prefix_may_end_within_a_name_and_listings_are_sorted(store, base):
    for name in ("date=2013-01-02/x", "date=2013-01-01/x", "date=2014-01-01/x", "other/x"):
        store.write(base + name, b"")
    assert [i.uri for i in store.list(f"{base}date=2013")] == [
        f"{base}date=2013-01-01/x",
        f"{base}date=2013-01-02/x",
    ]
    assert store.children(f"{base}date=2013") == [f"{base}date=2013-01-01/", f"{base}date=2013-01-02/"]
    assert store.children(base) == [
        f"{base}date=2013-01-01/",
        f"{base}date=2013-01-02/",
        f"{base}date=2014-01-01/",
        f"{base}other/",
    ]
    assert store.list(f"{base}nothing/") == store.children(f"{base}nothing/") == []


def test_missing_objects_and_prefixes(store, base):
    assert store.head(f"{base}no") is None
    with pytest.raises(NotFound, match="does not exist"):
        store.read(f"{base}no")
    store.delete(f"{base}no")


def test_a_replaced_object_is_noticed_by_read_and_by_open(store, base):
    store.write(f"{base}x", b"one")
    (info,) = store.list(base)
    store.write(f"{base}x", b"two")
    with pytest.raises(ObjectChanged, match="has been replaced"):
        store.read(info.uri, etag=info.etag)
    with pytest.raises(ObjectChanged, match="has been replaced"):
        store.open(info)


def test_an_open_file_keeps_its_content(store, base):
    store.write(f"{base}x", b"one")
    with store.open(store.head(f"{base}x")) as file:
        store.write(f"{base}x", b"two")
        assert file.read() == b"one"


def test_conditional_writes(store, base):
    uri = f"{base}champion.json"
    first = store.write(uri, b"1", if_absent=True)
    with pytest.raises(Lost, match="already exists"):
        store.write(uri, b"2", if_absent=True)
    second = store.write(uri, b"2", if_match=first)
    with pytest.raises(Lost, match="changed by another"):
        store.write(uri, b"3", if_match=first)
    assert store.read_versioned(uri) == (b"2", second)
    with pytest.raises(Lost):
        store.write(f"{base}absent", b"", if_match=first)
    assert [i.uri for i in store.list(base)] == [uri]


@pytest.mark.parametrize("conditions", [{"if_absent": True}, {"if_match": hashlib.sha256(b"0").hexdigest()}])
def test_one_of_many_concurrent_writers_succeeds(base, conditions):
    uri = f"{base}pointer"
    if "if_match" in conditions:
        LocalStore().write(uri, b"0")
    barrier, won = threading.Barrier(8), []

    def race(number):
        barrier.wait()
        try:
            LocalStore().write(uri, f"writer {number}".encode(), **conditions)
            won.append(number)
        except Lost:
            pass

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert LocalStore().read(uri) == f"writer {won[0]}".encode()


def test_a_failed_write_leaves_nothing(base, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadConfiguration, match="is a folder"):
        LocalStore().write(f"{base}folder", b"x")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_errors_of_the_operating_system(store, base, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(CredentialsRefused, match="permissions"):
        store.read(f"{base}x")


def test_unknown_schemes_are_explained(store):
    with pytest.raises(BadConfiguration, match="use s3://"):
        store.list("gs://bucket/")


def test_a_spec_opens_a_store_without_touching_the_network():
    store = open_store(Storage(endpoint="http://127.0.0.1:1", results_uri="s3://results/"))
    assert store.children("file:///nowhere-at-all/") == []


def test_a_local_file_ignores_a_plan_of_reads(tmp_path):
    store, uri = LocalStore(), f"{uri_of(tmp_path)}/a"
    store.write(uri, b"content")
    (info,) = store.list(uri)
    with store.open(info) as file:
        plan_reads(file, [(3, 5)])
        assert file.read() == b"content"


def test_a_write_in_place_changes_the_etag_of_a_file_that_has_been_hashed(store, base, monkeypatch):
    monkeypatch.setattr(local, "_TICKS", 0)
    monkeypatch.setattr(local, "_DIGESTS", {})
    store.write(f"{base}a", b"one")
    path = local.path_of(f"{base}a")
    assert store.head(f"{base}a").etag == store.list(base)[0].etag == hashlib.sha256(b"one").hexdigest()
    assert list(local._DIGESTS.values()) == [hashlib.sha256(b"one").hexdigest()], "a file is hashed once"
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:
        with path.open("r+b") as file:
            file.write(b"two")
    assert store.head(f"{base}a").etag == store.list(base)[0].etag == hashlib.sha256(b"two").hexdigest()


def test_the_digest_of_a_file_that_was_just_written_is_not_kept(store, base, monkeypatch):
    monkeypatch.setattr(local, "_DIGESTS", {})
    store.write(f"{base}a", b"one")
    store.list(base)
    assert not local._DIGESTS, "a write within the same tick of the clock would not show"


def test_links_to_files_are_listed_and_links_to_folders_are_not_followed(store, base):
    store.write(f"{base}real/folder/a", b"x")
    root = local.path_of(base)
    (root / "real" / "file").symlink_to(root / "real" / "folder" / "a")
    (root / "real" / "again").symlink_to(root / "real" / "folder")
    (root / "real" / "broken").symlink_to(root / "nothing")
    (root / "top").symlink_to(root / "real")
    names = [info.uri.removeprefix(base) for info in store.list(base)]
    assert names == ["real/file", "real/folder/a", "top/file", "top/folder/a"]
    assert store.children(f"{base}real/f") == [f"{base}real/file", f"{base}real/folder/"]
