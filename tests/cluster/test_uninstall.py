"""What other tests left behind, and uninstalling the operator. This file sorts last: no test can follow it."""

from __future__ import annotations

import base64
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from support.kind import RELEASE, SYSTEM_NAMESPACE, ClusterS3, Kind
from support.lake import Lake

NAME = "left-behind"
#: Kinds of objects that people and programs read. Secrets are not among them.
READABLE = "modelmonitors,cronjobs,jobs,pods,events,configmaps,deployments,services,serviceaccounts"

#: Where the tests have put rows; pods only read them.
ROWS = ("features/", "labels/")
#: Caches of counts and scores, thousands of objects.
CACHES = ("/profiles/", "/scores/")


def readable_texts(kind: Kind, s3: ClusterS3, own: str) -> Iterator[tuple[str, bytes]]:
    """Yield the source and the content of every object, log, page of metrics and stored result.

    Caches are read in the bucket `own` alone: a forwarded port does not stand all of them.
    """
    for namespace in (kind.namespace, SYSTEM_NAMESPACE):
        objects = kind.run("kubectl", "--namespace", namespace, "get", READABLE, "--output", "yaml")
        yield f"objects in {namespace}", objects.encode()
        for pod in kind.run("kubectl", "--namespace", namespace, "get", "pods", "--output", "name").split():
            log = kind.run("kubectl", "--namespace", namespace, "logs", pod, "--all-containers", "--tail=-1")
            yield f"log of {pod}", log.encode()
    with kind.forwarded(f"deployment/{RELEASE}", 8081, SYSTEM_NAMESPACE) as port:
        yield "metrics", urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read()
    buckets = [bucket["Name"] for bucket in s3.client.list_buckets()["Buckets"]]
    pages = [(name, s3.client.get_paginator("list_objects_v2").paginate(Bucket=name)) for name in buckets]
    keys = [(name, item["Key"]) for name, listing in pages for page in listing for item in page.get("Contents", [])]
    keys = [(bucket, key) for bucket, key in keys if not key.startswith(ROWS)]
    keys = [(bucket, key) for bucket, key in keys if bucket == own or not any(part in key for part in CACHES)]

    def read_object(address: tuple[str, str]) -> bytes:
        bucket, key = address
        return key.encode() + bytes(s3.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    sources = [f"s3://{bucket}/{key}" for bucket, key in keys]
    with ThreadPoolExecutor(4) as pool:
        yield from zip(sources, pool.map(read_object, keys), strict=True)


def test_credentials_are_found_nowhere_after_checks_and_trainings(release: Kind, s3: ClusterS3, lake: Lake) -> None:
    lake.add_days(0, 30)
    storage = {"credentialsSecretRef": {"name": "s3"}}
    release.apply(lake.monitor(name="watched", namespace=release.namespace, data={"reference": None}, storage=storage))
    release.wait("a champion", lambda: release.get("modelmonitor", "watched").get("status", {}).get("champion"))
    secret = release.get("secret", "s3")["data"]["AWS_SECRET_ACCESS_KEY"]
    texts = dict(readable_texts(release, s3, lake.bucket))
    assert any(source.startswith("log of pod/watched-") and "-train-" in source for source in texts)
    assert any(source.endswith("model.skops") for source in texts)
    forms = base64.b64decode(secret), secret.encode()
    leaks = [source for source, text in texts.items() if any(form in text for form in forms)]
    assert leaks == []


def test_uninstalling_keeps_monitors_and_their_cron_jobs(release: Kind, lake: Lake) -> None:
    release.apply(lake.monitor(name=NAME, namespace=release.namespace, suspend=True))
    release.wait("its CronJob", lambda: release.get("cronjob", f"{NAME}-check"))
    release.run("helm", "uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--wait")
    assert release.get("modelmonitor", NAME)["status"]["conditions"]
    assert release.get("cronjob", f"{NAME}-check")
    release.kubectl("delete", "modelmonitor", NAME, "--wait", "--timeout=600s")
    release.wait("the deletion of its CronJob", lambda: not release.get("cronjob", f"{NAME}-check"))
