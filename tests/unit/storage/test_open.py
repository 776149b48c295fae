"""Opening of stores, and their configuration in another process."""

import pickle

import pytest

from modelmonitor_api.spec import Storage
from modelmonitor_trainer.errors import BadConfiguration, StorageUnavailable
from modelmonitor_trainer.storage.local import LocalStore, uri_of
from modelmonitor_trainer.storage.open import SchemeRouter, StoreConfig, open_store, scheme_of
from modelmonitor_trainer.storage.s3 import RetryPolicy, S3Store
from support.narrowing import as_type


@pytest.mark.parametrize("config", [StoreConfig(), StoreConfig("http://127.0.0.1:1", "eu-central-1")])
def test_a_configuration_is_the_same_after_a_round_trip(config):
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_worker_opens_its_own_store_of_local_files(tmp_path):
    uri = f"{uri_of(tmp_path)}/a"
    store = StoreConfig.of(None).open()
    store.write(uri, b"1")
    copy = pickle.loads(pickle.dumps(store.config)).open()
    assert copy is not store
    assert copy.read(uri) == b"1"


def test_a_worker_opens_its_own_store_on_s3(monkeypatch):
    monkeypatch.setattr("modelmonitor_trainer.storage.s3.PATIENCE", RetryPolicy(0.5, 0.5, 1))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    declared = Storage(endpoint="http://127.0.0.1:1", region="eu-central-1", results_uri="s3://results/")
    config = pickle.loads(pickle.dumps(StoreConfig.of(declared)))
    assert config == StoreConfig("http://127.0.0.1:1", "eu-central-1")
    with pytest.raises(StorageUnavailable, match=r"http://127\.0\.0\.1:1 cannot be reached"):
        config.open().read("s3://results/a")


def test_each_scheme_has_its_store_and_is_opened_once():
    router = as_type(SchemeRouter, open_store(None))
    local, remote = router._store("file:///a"), router._store("s3://b/c")
    assert (type(local), type(remote)) == (LocalStore, S3Store)
    assert router._store("file:///d") is local


@pytest.mark.parametrize("uri", ["", "a", "/a", "http://a/b", "gs://b/c"])
def test_other_schemes_are_refused(uri):
    with pytest.raises(BadConfiguration, match="s3://bucket/prefix/"):
        scheme_of(uri)
