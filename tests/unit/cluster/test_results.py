"""Access to results: which endpoint is a Service, whose credentials are used, and what is missing."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from modelmonitor_api.spec import Storage
from modelmonitor_trainer.cluster.errors import Denied, Missing
from modelmonitor_trainer.cluster.kubectl import Kubectl
from modelmonitor_trainer.cluster.results import (
    Access,
    credentials_in,
    explain_access,
    open_results,
    service_of,
)
from modelmonitor_trainer.errors import BadConfiguration, CredentialsRefused, NotFound
from modelmonitor_trainer.storage import s3
from modelmonitor_trainer.storage.local import LocalStore
from unit.cluster.fake_kubectl import FakeKubectl

FORBIDDEN = "Error from server (Forbidden): it is forbidden"


def secret(**data: str) -> dict[str, Any]:
    return {"metadata": {"name": "s3"}, "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}}


def storage(endpoint: str | None = "http://s3.demo.svc:9000", **fields: Any) -> Storage:
    return Storage.model_validate(
        {"resultsURI": "s3://r/", "endpoint": endpoint, "credentialsSecretRef": {"name": "s3"}, **fields}
    )


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        (None, None),
        ("http://s3.demo.svc:9000", ("s3", "demo", 9000, True)),
        ("http://s3.demo.svc.cluster.local", ("s3", "demo", 80, True)),
        ("https://s3.demo.svc", ("s3", "demo", 443, True)),
        ("http://minio:9000", ("minio", "ml", 9000, True)),
        ("http://minio.storage:9000", ("minio", "storage", 9000, False)),
        ("http://localhost:9000", None),
        ("http://127.0.0.1:9000", None),
        ("http://[::1]:9000", None),
        ("https://s3.eu-central-1.amazonaws.com", None),
        ("https://storage.googleapis.com", None),
    ],
)
def test_which_endpoint_is_a_service(endpoint: str | None, service: tuple[Any, ...] | None) -> None:
    address = service_of(endpoint, "ml")
    parts = address and (address.name, address.namespace, address.port, address.certain)
    assert parts == service


def test_only_credentials_are_taken_from_a_secret() -> None:
    content = secret(AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s", AWS_CONFIG_FILE="/etc/passwd", PATH="/evil")
    assert credentials_in(content) == {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (secret(AWS_ACCESS_KEY_ID="k"), "the Secret 's3' lacks the key AWS_SECRET_ACCESS_KEY"),
        (secret(), "lacks the key AWS_ACCESS_KEY_ID and the key AWS_SECRET_ACCESS_KEY"),
        (
            {"metadata": {"name": "s3"}, "data": {"AWS_ACCESS_KEY_ID": "/w==", "AWS_SECRET_ACCESS_KEY": "/w=="}},
            "a key that is not text",
        ),
    ],
)
def test_a_secret_that_lacks_a_key(content: dict[str, Any], message: str) -> None:
    with pytest.raises(BadConfiguration, match=message):
        credentials_in(content)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    (tmp_path / "config").write_text("[profile mine]\nregion = eu-central-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    return FakeKubectl(
        tmp_path,
        {
            "get --raw /api/v1/namespaces/ml/secrets/s3": secret(AWS_ACCESS_KEY_ID="k", AWS_SECRET_ACCESS_KEY="s"),
            "port-forward": ["Forwarding from 127.0.0.1:43211 -> 9000"],
        },
    )


def kubectl(fake: FakeKubectl) -> Kubectl:
    fake.write()
    return Kubectl(program=fake.program)


def test_a_service_is_forwarded_and_the_store_has_the_credentials_of_the_monitor(
    fake: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, str | None] = {}

    class Store(LocalStore):
        def __init__(self, *_: object, **__: object) -> None:
            seen.update({name: os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")})

    monkeypatch.setattr(s3, "S3Store", Store)
    with open_results(kubectl(fake), "ml", storage()) as access:
        assert access.endpoint == "http://s3.demo.svc:9000 (forwarded to port 43211)"
        assert access.credentials == "Secret 's3'"
        assert seen == {"AWS_ACCESS_KEY_ID": "k", "AWS_PROFILE": None}
    assert os.environ["AWS_ACCESS_KEY_ID"] == os.environ["AWS_PROFILE"] == "mine"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "mine"


def test_without_a_right_to_read_the_secret_ones_own_credentials_are_used(fake: FakeKubectl) -> None:
    fake.answers["get --raw /api/v1/namespaces/ml/secrets/s3"] = FORBIDDEN
    with open_results(kubectl(fake), "ml", storage("http://127.0.0.1:1")) as access:
        assert access.credentials == "your own, because you may not read the Secret 's3'"
        assert os.environ["AWS_ACCESS_KEY_ID"] == "mine"


def test_an_ambiguous_host_is_a_service_if_there_is_one(fake: FakeKubectl) -> None:
    with open_results(kubectl(fake), "ml", storage("http://minio.storage:9000")) as access:
        assert access.endpoint == "http://minio.storage:9000"
    fake.answers["get --raw /api/v1/namespaces/storage/services/minio"] = {}
    with open_results(kubectl(fake), "ml", storage("http://minio.storage:9000")) as access:
        assert access.endpoint.endswith("(forwarded to port 43211)")


def test_an_endpoint_in_the_secret_is_used_as_pods_do(fake: FakeKubectl) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL": "http://s3.demo.svc:9000"}
    fake.answers["get --raw /api/v1/namespaces/ml/secrets/s3"] = secret(**keys)
    with open_results(kubectl(fake), "ml", storage(None)) as access:
        assert access.endpoint == "http://s3.demo.svc:9000 (forwarded to port 43211)"


def test_an_endpoint_of_the_caller_is_used_as_it_is(fake: FakeKubectl) -> None:
    with open_results(kubectl(fake), "ml", storage(), "https://127.0.0.1:9") as access:
        assert access.endpoint == "https://127.0.0.1:9"
    assert not any("port-forward" in call for call in fake.calls())


@pytest.mark.parametrize(
    ("answers", "given", "error", "message"),
    [
        (
            {"get --raw /api/v1/namespaces/ml/secrets/s3": "Error from server (NotFound): no"},
            storage(),
            Missing,
            "the Secret 's3' of spec.storage.credentialsSecretRef does not exist in namespace ml",
        ),
        ({"port-forward": FORBIDDEN}, storage(), Denied, "the verb create on pods/portforward in namespace demo"),
        ({}, storage("https://s3.demo.svc"), BadConfiguration, "with TLS.*--endpoint"),
    ],
)
def test_what_is_missing_is_named(
    fake: FakeKubectl, answers: dict[str, str], given: Storage, error: type[Exception], message: str
) -> None:
    fake.answers |= answers
    with pytest.raises(error, match=message), open_results(kubectl(fake), "ml", given):
        pass


def test_an_error_of_the_store_says_how_it_was_accessed() -> None:
    access = Access(LocalStore(), "http://s3", "Secret 's3'")
    explained = explain_access(CredentialsRefused("refused"), access)
    assert str(explained) == "refused (endpoint: http://s3; credentials: Secret 's3')"
    missing = NotFound("no page")
    assert explain_access(missing, access) is missing
