"""A small inference server for models of the built-in trainer.

It implements the Open Inference Protocol, version 2, over HTTP (as KServe, Triton and MLServer do), serves the version
that ``MODELMONITOR_MODEL_URI`` names, and logs requests and scores as Parquet partitions, which a ModelMonitor reads as
its live data. It runs in the trainer image, which has all of its dependencies.

Environment: MODELMONITOR_MODEL_URI and MODELMONITOR_MODEL_VERSION (set by the operator), MODEL_NAME, LOG_URI (with %Y,
%m, %d; if absent, nothing is logged), LOG_SECONDS (interval of the log), TIME_INPUT (input tensor with the time of each
row; defaults to now), AWS_ENDPOINT_URL and the usual credentials, PORT.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import os
import re
import signal
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.model_files import LoadedModel, load_model
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.storage.s3 import S3Store

_LOG = logging.getLogger("scorer")
_MAX_BODY = 64 * 1024 * 1024
_DATATYPES = {
    **{name: pa.float64() for name in ("FP64", "FP32", "FP16")},
    **{name: pa.int64() for name in ("INT64", "INT32", "INT16", "INT8", "UINT32", "UINT16", "UINT8")},
    "BOOL": pa.bool_(),
    "BYTES": pa.string(),
}
#: URI of a version: the results prefix of the monitor, then versions/<version>/.
_VERSION_FOLDER = re.compile(r"^(?P<prefix>.+/)versions/(?P<version>[^/]+)/?$")


class BadRequest(Exception):
    """The request is invalid; the message names what to change."""


def table_of(request: Any) -> pa.Table:
    """Return the input tensors of an inference request as columns, with None for missing values.

    Raises
    ------
    BadRequest
        If it is not an inference request, or its tensors are not columns of one length.
    """
    inputs = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise BadRequest("'inputs' must be a list of tensors, one per column")
    columns: dict[str, pa.Array] = {}
    for tensor in inputs:
        try:
            name, datatype, shape, data = (tensor[key] for key in ("name", "datatype", "shape", "data"))
            kind = _DATATYPES[datatype]
            column = pa.array(data, kind)
        except (TypeError, KeyError, pa.ArrowException) as error:
            raise BadRequest(f"an input is not a tensor with name, datatype, shape and data: {error}") from error
        if shape not in ([len(column)], [len(column), 1]):
            raise BadRequest(f"input {name!r} has {len(column)} values and the shape {shape}")
        columns[str(name)] = column
    if len({len(column) for column in columns.values()}) > 1:
        raise BadRequest("the inputs have different numbers of rows")
    return pa.table(columns)


def infer(model: LoadedModel, request: Any) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of a request with their scores, and the response."""
    rows = table_of(request)
    scores = model.predict_scores(rows)
    shape = list(np.shape(scores))
    output = {"name": "score", "datatype": "FP64", "shape": shape, "data": np.ravel(scores).tolist()}
    response = {"model_version": model.version.version, "outputs": [output]}
    if isinstance(request.get("id"), str):
        response["id"] = request["id"]
    version = pa.array([model.version.version] * len(rows))
    rows = rows.append_column("score", pa.array(scores if len(shape) == 1 else list(scores)))
    return rows.append_column("model_version", version), response


class RequestLog:
    """Buffers rows and writes one Parquet object per day and batch.

    Parameters
    ----------
    store
        Store of the log.
    template
        URI of a day's partition, with %Y, %m and %d.
    time_input
        Column with the time of each row in ISO format; None for the current time.
    """

    def __init__(self, store: S3Store, template: str, time_input: str | None) -> None:
        self._store = store
        self._template = template
        self._time_input = time_input
        self._batches: list[tuple[str, pa.Table]] = []
        self._lock = threading.Lock()

    def add(self, rows: pa.Table) -> None:
        """Keep rows until the next flush."""
        with self._lock:
            self._batches.append((uuid.uuid4().hex[:12], rows))

    def flush(self) -> int:
        """Write the buffered rows and return their number; rows that cannot be written stay in the buffer."""
        with self._lock:
            pending, self._batches = self._batches, []
        written = 0
        try:
            while pending:
                written += self._write(*pending[0])
                pending.pop(0)
        except ModelMonitorError as error:
            _LOG.warning("%d batches could not be logged and will be retried: %s", len(pending), error)
            with self._lock:
                self._batches = [*pending, *self._batches]
        return written

    def _write(self, name: str, rows: pa.Table) -> int:
        """Write a batch; a retry with the same name overwrites the same objects, so that no row is logged twice."""
        for day, part in self._by_day(rows):
            body = io.BytesIO()
            pq.write_table(part, body, compression="zstd")
            self._store.write(f"{day.strftime(self._template)}part-{name}.parquet", body.getvalue())
        return len(rows)

    def _by_day(self, rows: pa.Table) -> list[tuple[dt.date, pa.Table]]:
        if self._time_input is None or self._time_input not in rows.column_names:
            return [(dt.datetime.now(dt.UTC).date(), rows)]
        days = np.array([str(time)[:10] for time in rows.column(self._time_input).to_pylist()])
        return [(dt.date.fromisoformat(str(day)), rows.filter(pa.array(days == day))) for day in np.unique(days)]


class Server(ThreadingHTTPServer):
    """HTTP server of a model and its request log; without a model it is live but not ready."""

    daemon_threads = True

    def __init__(self, port: int, name: str, model: LoadedModel | None, log: RequestLog | None) -> None:
        super().__init__(("0.0.0.0", port), Handler)  # noqa: S104 - pods are reached by their IP address
        self.name = name
        self.model = model
        self.log = log


class Handler(BaseHTTPRequestHandler):
    """Handler of the protocol's paths."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Return the health or metadata of the server or the model."""
        body = self._resources().get(self.path.rstrip("/"))
        if body is None:
            self._respond(404, {"error": f"{self.path} does not exist"})
        else:
            self._respond(200 if body.get("ready", True) else 503, body)

    def do_POST(self) -> None:
        """Run an inference request."""
        path, _, verb = self.path.rpartition("/")
        size = int(self.headers.get("Content-Length") or 0)
        if verb != "infer" or path not in self._models() or self.server.model is None or size > _MAX_BODY:
            self.close_connection = True  # the body is not read
            if size > _MAX_BODY:
                self._respond(413, {"error": f"the request is larger than {_MAX_BODY} bytes"})
            else:
                self._respond(404, {"error": f"{self.path} does not exist"})
            return
        try:
            rows, response = infer(self.server.model, json.loads(self.rfile.read(size)))
        except (BadRequest, ModelMonitorError, ValueError) as error:
            self._respond(400, {"error": str(error)})
            return
        if self.server.log is not None:
            self.server.log.add(rows)
        self._respond(200, {"model_name": self.server.name, **response})

    def _models(self) -> list[str]:
        """Return the paths of the model, with and without its version."""
        if self.server.model is None:
            return []
        path = f"/v2/models/{self.server.name}"
        return [path, f"{path}/versions/{self.server.model.version.version}"]

    def _resources(self) -> dict[str, dict[str, Any]]:
        """Return the response bodies of all GET paths."""
        ready = self.server.model is not None
        resources: dict[str, dict[str, Any]] = {
            "/v2": {"name": "modelmonitor-scorer", "version": "1", "extensions": []},
            "/v2/health/live": {"live": True},
            "/v2/health/ready": {"ready": ready},
        }
        for path in self._models():
            resources |= {path: self._metadata(), f"{path}/ready": {"name": self.server.name, "ready": ready}}
        return resources

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of the base class
        """Log requests at debug level, because probes come every second."""
        _LOG.debug(format, *args)

    def _metadata(self) -> dict[str, Any]:
        model = self.server.model
        assert model is not None
        inputs = [
            {"name": f.name, "datatype": "FP64" if f.type.value == "Numeric" else "BYTES", "shape": [-1]}
            for f in model.features
        ]
        return {
            "name": self.server.name,
            "versions": [model.version.version],
            "platform": "scikit-learn",
            "inputs": inputs,
            "outputs": [{"name": "score", "datatype": "FP64", "shape": [-1]}],
        }

    def _respond(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serve until SIGTERM, then finish open requests and write the log."""
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(name)s: %(message)s")
    uri = os.environ.get("MODELMONITOR_MODEL_URI", "")
    match = _VERSION_FOLDER.match(uri)
    store = S3Store(os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_REGION"))
    model = load_model(ModelRegistry(store, ResultsLayout(match["prefix"])), match["version"]) if match else None
    log_uri = os.environ.get("LOG_URI")
    log = RequestLog(store, log_uri, os.environ.get("TIME_INPUT")) if log_uri else None
    server = Server(int(os.environ.get("PORT", "8080")), os.environ.get("MODEL_NAME", "model"), model, log)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    _LOG.info("serving %s on port %d", model.version.version if model else "no model yet", server.server_address[1])
    while not stopped.wait(float(os.environ.get("LOG_SECONDS", "60"))):
        if log is not None and (written := log.flush()):
            _LOG.info("logged %d rows", written)
    server.shutdown()
    if log is not None:
        log.flush()


if __name__ == "__main__":
    main()
