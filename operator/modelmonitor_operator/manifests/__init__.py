"""The Kubernetes objects of a monitor: pure functions from a monitor to manifests."""

from modelmonitor_operator.manifests.cronjob import cron_job
from modelmonitor_operator.manifests.job import auto_rollback_job, check_request, requested_job, selector, training_job

__all__ = ["auto_rollback_job", "check_request", "cron_job", "requested_job", "selector", "training_job"]
