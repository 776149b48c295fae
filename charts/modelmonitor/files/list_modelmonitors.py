"""Lists the ModelMonitors of the namespace in the first argument; `helm test` runs it in the operator's image."""

import sys

from kubernetes import client, config

config.load_incluster_config()
resources = client.CustomObjectsApi().list_namespaced_custom_object(
    "modelmonitor.io", "v1alpha1", sys.argv[1], "modelmonitors", _request_timeout=30
)
print(f"{len(resources['items'])} ModelMonitors in namespace {sys.argv[1]}")
