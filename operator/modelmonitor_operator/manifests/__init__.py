"""The Kubernetes objects of a monitor: pure functions from a monitor to manifests."""

from modelmonitor_operator.manifests.cronjob import cron_job
from modelmonitor_operator.manifests.job import job_of, selector

__all__ = ["cron_job", "job_of", "selector"]
