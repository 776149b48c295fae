"""Findings about the object store: whether it can be reached, and what a refusal means for the pods."""

from __future__ import annotations

from modelmonitor_trainer.cluster.caller import Caller
from modelmonitor_trainer.cluster.doctor.findings import Finding, problem, unknown
from modelmonitor_trainer.cluster.doctor.job_findings import renew_credentials
from modelmonitor_trainer.cluster.errors import Missing
from modelmonitor_trainer.cluster.observed import ObservedMonitor
from modelmonitor_trainer.cluster.results import MissingSecret
from modelmonitor_trainer.errors import BadConfiguration, CredentialsRefused, ModelMonitorError, NotFound
from modelmonitor_trainer.text import as_sentence

_SUBJECT = "Object store"


def explain_refusal(
    error: ModelMonitorError, monitor: ObservedMonitor, caller: Caller, *, as_pods: bool
) -> Finding | None:
    """Return what it means that the object store could not be read; None if another finding covers it.

    Parameters
    ----------
    error
        The error.
    monitor
        The monitor.
    caller
        How the caller reaches the cluster.
    as_pods
        Whether the credentials were those of the pods, so that these are refused as well.
    """
    message = as_sentence(str(error))
    if isinstance(error, MissingSecret | BadConfiguration) and "Secret" in message:
        return None  # found with the credentials
    if isinstance(error, Missing):
        services = caller.cluster_wide("get", "services", "--all-namespaces")
        return problem(_SUBJECT, f"spec.storage.endpoint names a Service that does not exist. {message}", services)
    if isinstance(error, CredentialsRefused) and as_pods:
        return problem(_SUBJECT, message, renew_credentials(monitor, caller))
    if isinstance(error, NotFound) and as_pods:
        return problem(_SUBJECT, message, caller.kubectl("edit", "mmon", monitor.name))
    again = caller.mmon("doctor", monitor.name, "--endpoint", "URL")
    return unknown(_SUBJECT, f"It cannot be read from here: {message}", again)
