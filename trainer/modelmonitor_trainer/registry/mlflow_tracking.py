"""Copies of trainings on an MLflow server.

Optional: enabled if ``MLFLOW_TRACKING_URI`` is set in the pod (the Secret of the credentials can hold it, together with
``MLFLOW_TRACKING_TOKEN`` or other variables of MLflow's client) and the package ``mlflow-skinny`` is in the image. The
object store remains the source of truth: a failure to write to MLflow is reported in the message of the outcome; no
training fails because of it or waits for it for long.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from modelmonitor_api.messages import MAX_SENTENCE, MonitorRef
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.records import VersionRecord

_LOG = logging.getLogger(__name__)
URI_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
#: Alias of the version that serves.
CHAMPION = "champion"
_TAG = "modelmonitor.version"
#: Seconds and retries per request: bounds what an unreachable server costs a training.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
#: Longest value that MLflow accepts for a parameter.
_LONGEST = 500
#: Characters of both ends of an error message, so that it fits next to the outcome of a training.
_ENDS = 140


def tracked_name(monitor: MonitorRef) -> str:
    """Return the name of a monitor's experiment and registered model."""
    return f"{monitor.namespace}.{monitor.name}"


def record_training(
    layout: ResultsLayout,
    name: str,
    record: VersionRecord,
    metrics: Mapping[str, float | None],
    parameters: Mapping[str, Any],
    *,
    serves: bool,
) -> str | None:
    """Write a training as a run with its metrics and parameters, and its version as a version of a registered model.

    A version that an earlier pod has written is left as it is.

    Parameters
    ----------
    layout
        Results of the monitor.
    name
        Name of the experiment and the registered model; ``MLFLOW_EXPERIMENT_NAME`` overrides that of the experiment.
    record
        The version.
    metrics
        Name → value; metrics without a value are left out.
    parameters
        Name → plain value.
    serves
        Whether the version is the champion now.

    Returns
    -------
    str or None
        What went wrong, as a sentence; None if all was written, or no server is configured.
    """

    def write(client: Any, refused: type[Exception]) -> None:
        number = _find_number(client, name, record.version)
        if number is None:
            run = _write_run(client, refused, name, record, metrics, parameters)
            _create_if_absent(refused, lambda: client.create_registered_model(name))
            folder = layout.version(record.version).folder
            created = client.create_model_version(name, folder, run_id=run, tags={_TAG: record.version})
            number = created.version
        if serves:
            client.set_registered_model_alias(name, CHAMPION, number)

    return _with_client(f"version {record.version}", write)


def move_alias(name: str, version: str) -> str | None:
    """Move the alias of the registered model to a champion that was changed manually.

    Returns
    -------
    str or None
        See :func:`record_training`.
    """

    def write(client: Any, refused: type[Exception]) -> None:
        del refused
        number = _find_number(client, name, version)
        if number is None:
            raise LookupError(f"the registered model {name} has no version with the tag {_TAG} = {version}")
        client.set_registered_model_alias(name, CHAMPION, number)

    return _with_client(f"the champion {version}", write)


def with_note(message: str, problem: str | None) -> str:
    """Append what went wrong with MLflow to the message of an outcome, which is cut if both are too long."""
    note = f" {problem}" if problem else ""
    return message[: MAX_SENTENCE - len(note)] + note


def _with_client(what: str, write: Callable[[Any, type[Exception]], None]) -> str | None:
    uri = os.environ.get(URI_VARIABLE)
    if not uri:
        return None
    problem = _call_server(uri, what, write)
    if problem is not None:
        _LOG.warning("%s", problem)
    return problem


def _call_server(uri: str, what: str, write: Callable[[Any, type[Exception]], None]) -> str | None:
    for variable, seconds in _PATIENCE.items():
        os.environ.setdefault(variable, seconds)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        return f"MLflow was not updated with {what}: the package mlflow-skinny is not in the trainer image."
    try:
        write(MlflowClient(tracking_uri=uri, registry_uri=uri), MlflowException)
    # No error of a third-party client may undo a training that has ended.
    except Exception as error:  # noqa: BLE001 - see above
        return f"MLflow at {uri.rpartition('@')[2]} was not updated with {what}: {_shorten(error)}."
    return None


def _shorten(error: Exception) -> str:
    """Return both ends of an error message: the client states the request first and the cause last."""
    text = " ".join(str(error).split()).rstrip(". ")
    return text if len(text) <= 2 * _ENDS else f"{text[:_ENDS]} … {text[-_ENDS:]}"


def _write_run(
    client: Any,
    refused: type[Exception],
    name: str,
    record: VersionRecord,
    metrics: Mapping[str, float | None],
    parameters: Mapping[str, Any],
) -> str:
    from mlflow.entities import Metric, Param, RunTag

    experiment = _experiment(client, refused, os.environ.get(EXPERIMENT_VARIABLE) or name)
    created = int(record.created.timestamp() * 1000)
    run = client.create_run(experiment, start_time=created, run_name=record.version)
    tags = {
        _TAG: record.version,
        "modelmonitor.outcome": record.outcome,
        "modelmonitor.reason": record.reason,
        "modelmonitor.trigger": record.trigger,
        "modelmonitor.image": record.image,
        "modelmonitor.manifest_sha256": record.manifest_sha256,
        "mlflow.note.content": record.message,
    }
    client.log_batch(
        run.info.run_id,
        metrics=[
            Metric(key, value, created, 0)
            for key, value in metrics.items()
            if value is not None and math.isfinite(value)
        ],
        params=[Param(key, str(value)[:_LONGEST]) for key, value in parameters.items()][:100],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _experiment(client: Any, refused: type[Exception], name: str) -> str:
    _create_if_absent(refused, lambda: client.create_experiment(name))
    return str(client.get_experiment_by_name(name).experiment_id)


def _create_if_absent(refused: type[Exception], create: Callable[[], Any]) -> None:
    """Create an entity unless it exists."""
    try:
        create()
    except refused as error:
        if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
            raise


def _find_number(client: Any, name: str, version: str) -> str | None:
    """Return MLflow's number of a version; None if it has none."""
    # Neither contains a quote: one consists of Kubernetes names, the other is a valid version name.
    matches = client.search_model_versions(f"name = '{name}' and tag.`{_TAG}` = '{version}'", max_results=1)
    return str(matches[0].version) if matches else None
