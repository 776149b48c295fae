"""Trainings written to an MLflow server as well, for people who look there.

Optional: it happens where ``MLFLOW_TRACKING_URI`` is set in the pod (the Secret of the credentials may hold it, and
``MLFLOW_TRACKING_TOKEN`` or whatever else MLflow's client reads) and the package ``mlflow-skinny`` is in the image. The
truth stays on the store: what cannot be written is said in a sentence; nothing fails by it, or waits for it for long.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

from modelmonitor_api.messages import MAX_SENTENCE, MonitorRef
from modelmonitor_trainer.registry.versions import VersionRecord, folder_of

_LOG = logging.getLogger(__name__)
URI_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
#: The alias of the version that serves.
CHAMPION = "champion"
_TAG = "modelmonitor.version"
#: A server that is down costs a training at most about these many seconds a request.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
#: The longest value that MLflow takes for a parameter.
_LONGEST = 500
#: Characters of both ends of what the client says went wrong, so that it fits beside the outcome of a training.
_ENDS = 140


def tracked_name(monitor: MonitorRef) -> str:
    """Return the name of a monitor's experiment and registered model."""
    return f"{monitor.namespace}.{monitor.name}"


def record_training(
    prefix: str,
    name: str,
    record: VersionRecord,
    metrics: Mapping[str, float | None],
    parameters: Mapping[str, Any],
    *,
    serves: bool,
) -> str | None:
    """Write a training as a run with its metrics and parameters, and its version as one of a registered model.

    A version that is there already, because an earlier pod has written it, is left as it is.

    Parameters
    ----------
    prefix
        Where the monitor's results are.
    name
        Of the experiment and the registered model; the experiment may be named by ``MLFLOW_EXPERIMENT_NAME`` instead.
    record
        The version.
    metrics
        Name → value; what has no value is left out.
    parameters
        Name → plain value.
    serves
        Whether it is the champion now.

    Returns
    -------
    str or None
        What went wrong, as a sentence; None where the server was told, or where there is none to tell.
    """

    def write(client: Any, refused: type[Exception]) -> None:
        known = _number_of(client, name, record.version)
        if known is None:
            run = _write_run(client, refused, name, record, metrics, parameters)
            _unless_there(refused, lambda: client.create_registered_model(name))
            made = client.create_model_version(
                name, folder_of(prefix, record.version), run_id=run, tags={_TAG: record.version}
            )
            known = made.version
        if serves:
            client.set_registered_model_alias(name, CHAMPION, known)

    return _with_client(f"version {record.version}", write)


def move_alias(name: str, version: str) -> str | None:
    """Have the alias of the registered model follow a champion that was changed by hand.

    Returns
    -------
    str or None
        As of :func:`record_training`.
    """

    def write(client: Any, refused: type[Exception]) -> None:
        del refused
        known = _number_of(client, name, version)
        if known is None:
            raise LookupError(f"its registered model {name} has no version with the tag {_TAG} = {version}")
        client.set_registered_model_alias(name, CHAMPION, known)

    return _with_client(f"the champion {version}", write)


def with_note(message: str, untold: str | None) -> str:
    """Return the message of an outcome with what MLflow was not told, which is kept where both are too long."""
    note = f" {untold}" if untold else ""
    return message[: MAX_SENTENCE - len(note)] + note


def _with_client(what: str, write: Callable[[Any, type[Exception]], None]) -> str | None:
    uri = os.environ.get(URI_VARIABLE)
    if not uri:
        return None
    untold = _told(uri, what, write)
    if untold is not None:
        _LOG.warning("%s", untold)
    return untold


def _told(uri: str, what: str, write: Callable[[Any, type[Exception]], None]) -> str | None:
    for variable, seconds in _PATIENCE.items():
        os.environ.setdefault(variable, seconds)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        return f"MLflow was not told of {what}: the package mlflow-skinny is not in the trainer image."
    try:
        write(MlflowClient(tracking_uri=uri, registry_uri=uri), MlflowException)
    # Whatever a foreign client raises must not undo a training that has ended.
    except Exception as error:  # noqa: BLE001 - see above
        return f"MLflow at {uri.rpartition('@')[2]} was not told of {what}: {_why(error)}."
    return None


def _why(error: Exception) -> str:
    """Return what a client says went wrong: what it asked for comes first and the cause last, with much between."""
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
    _unless_there(refused, lambda: client.create_experiment(name))
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id)


def _unless_there(refused: type[Exception], create: Callable[[], Any]) -> None:
    """Create something, unless somebody has done so before."""
    try:
        create()
    except refused as error:
        if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
            raise


def _number_of(client: Any, name: str, version: str) -> str | None:
    """Return MLflow's number of a version; None where it does not know it."""
    # Neither holds a quote: one is of names of Kubernetes, the other was checked by folder_of.
    found = client.search_model_versions(f"name = '{name}' and tag.`{_TAG}` = '{version}'", max_results=1)
    return str(found[0].version) if found else None
