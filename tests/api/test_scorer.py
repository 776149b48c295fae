"""The example scorer as a process on a real S3 server: it serves the champion, and its log is the next live data."""

from __future__ import annotations

import io
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from modelmonitor_api.messages import RunVerdict
from support.lake import Lake
from support.pods import Pod, train_request
from support.processes import PATIENCE, Process, free_port, wait_until
from support.s3 import S3Server

SCORER = Path(__file__).parents[2] / "examples" / "scorer" / "scorer.py"


class Scorer:
    """A running scorer."""

    def __init__(self, folder: Path, s3: S3Server, lake: Lake, version: str | None) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        model = f"s3://{lake.bucket}/results/demo/flights/versions/{version}/"
        self.process = Process(
            [sys.executable, SCORER],
            log=folder / "scorer.log",
            environment={
                "PATH": os.environ["PATH"],
                "AWS_ENDPOINT_URL": s3.endpoint,
                "LOG_URI": f"s3://{lake.bucket}/features/date=%Y-%m-%d/",
                "LOG_SECONDS": "3600",
                "TIME_INPUT": "time",
                "PORT": str(port),
                **({"MODELMONITOR_MODEL_URI": model} if version else {}),
                **s3.environment,
            },
        )
        wait_until(lambda: self.process.ensure_running() and self.get("/v2/health/live")[0] == 200, "the scorer")

    def get(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the JSON of the response; (0, None) if there is none."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(f"{self.url}{path}", data, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except urllib.error.URLError:
            return 0, None


@pytest.fixture
def lake(s3_server: S3Server, bucket: str) -> Lake:
    created = Lake(s3_server, bucket)
    created.add_days(0, 28)
    return created


@pytest.fixture
def version(lake: Lake, s3_server: S3Server, tmp_path: Path) -> str:
    """A champion."""
    answer = Pod(train_request(lake.monitor()), tmp_path, s3_server.environment, job="train-1").wait()
    assert isinstance(answer, RunVerdict)
    assert answer.outcome == "Promoted", answer.message
    assert answer.version is not None
    return answer.version


@pytest.fixture
def scorer(tmp_path: Path, s3_server: S3Server, lake: Lake, version: str) -> Iterator[Scorer]:
    running = Scorer(tmp_path, s3_server, lake, version)
    yield running
    running.process.kill()


def tensor(name: str, datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


REQUEST = {
    "id": "42",
    "inputs": [
        tensor("id", "BYTES", ["a", "b", "c"]),
        tensor("time", "BYTES", ["2013-02-01T06:00:00Z", "2013-02-01T07:00:00Z", "2013-02-02T06:00:00Z"]),
        tensor("temp", "FP64", [20.0, 80.0, None]),
        tensor("carrier", "BYTES", ["AA", "B6", "never seen"]),
    ],
}


def test_the_scorer_responds_and_logs_its_requests(scorer: Scorer, lake: Lake, version: str) -> None:
    assert scorer.get("/v2/health/ready") == (200, {"ready": True})
    status, described = scorer.get("/v2/models/model")
    assert (status, described["versions"]) == (200, [version])
    assert {i["name"]: i["datatype"] for i in described["inputs"]} == {"temp": "FP64", "carrier": "BYTES"}
    status, answer = scorer.get("/v2/models/model/infer", REQUEST)
    assert status == 200, answer
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("42", "model", version)
    [output] = answer["outputs"]
    assert (output["name"], output["shape"]) == ("score", [3])
    low, high, unknown = output["data"]
    assert 0 <= low < unknown < high <= 1, "the lake's flights are late when it is warm"
    assert scorer.get(f"/v2/models/model/versions/{version}/infer", REQUEST)[1]["outputs"] == answer["outputs"]

    assert scorer.process.stop() == 0
    logged = {key: lake.read(key) for key in lake.keys("features/date=2013-02-0") if "/part-" in key}
    assert len(logged) == 4, "two requests, two days"
    rows = [row for key in sorted(logged) for row in pq.read_table(io.BytesIO(logged[key])).to_pylist()]
    first = next(row for row in rows if row["id"] == "a")
    assert first == {
        "id": "a",
        "time": "2013-02-01T06:00:00Z",
        "temp": 20.0,
        "carrier": "AA",
        "score": low,
        "model_version": version,
    }
    assert sorted(row["id"] for row in rows) == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not JSON", "Expecting value"),
        ({"inputs": []}, "'inputs' must be a list"),
        ({"inputs": [tensor("temp", "FP64", [1.0])]}, "needs the feature 'carrier'"),
        ({"inputs": [tensor("temp", "COMPLEX", [1.0])]}, "COMPLEX"),
        ({"inputs": [tensor("temp", "FP64", ["warm"])]}, "not a tensor"),
        ({"inputs": [tensor("temp", "FP64", [1.0]) | {"shape": [7]}]}, "1 values and the shape [7]"),
        ({"inputs": [tensor("temp", "FP64", [1.0]), tensor("carrier", "BYTES", ["AA", "B6"])]}, "different numbers"),
    ],
)
def test_an_invalid_request_is_rejected_with_the_reason(scorer: Scorer, body: Any, says: str) -> None:
    status, answer = scorer.get("/v2/models/model/infer", body)
    assert status == 400
    assert says in answer["error"]
    assert scorer.get("/v2/models/other/infer", REQUEST)[0] == 404


def test_without_a_champion_the_scorer_is_live_and_not_ready(tmp_path: Path, s3_server: S3Server, lake: Lake) -> None:
    scorer = Scorer(tmp_path, s3_server, lake, None)
    try:
        assert scorer.get("/v2/health/ready") == (503, {"ready": False})
        assert scorer.get("/v2/models/model/infer", REQUEST)[0] == 404
    finally:
        scorer.process.kill()
