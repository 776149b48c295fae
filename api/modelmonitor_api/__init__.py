"""The ModelMonitor resource and what passes between the operator and its pods.

Every name that a user can see is defined in this package and nowhere else: fields
(:mod:`~modelmonitor_api.spec`, :mod:`~modelmonitor_api.status`), labels, annotations,
condition types and reasons (:mod:`~modelmonitor_api.names`), and the JSON documents
exchanged with pods (:mod:`~modelmonitor_api.messages`). The CustomResourceDefinition and
the reference page are generated from these types.
"""

from modelmonitor_api.names import API_VERSION, GROUP, KIND, PLURAL, VERSION
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import ModelMonitorStatus

__version__ = "0.1.0"
__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "PLURAL",
    "VERSION",
    "ModelMonitorSpec",
    "ModelMonitorStatus",
]
