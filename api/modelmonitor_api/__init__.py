"""Types of the ModelMonitor resource, and of the messages between the operator and its pods.

Every name that users see is defined in this package only: fields (:mod:`~modelmonitor_api.spec`,
:mod:`~modelmonitor_api.status`), labels, annotations and condition types (:mod:`~modelmonitor_api.names`), reasons
(:mod:`~modelmonitor_api.reasons`), outcomes (:mod:`~modelmonitor_api.outcomes`), and the JSON messages to and from
pods (:mod:`~modelmonitor_api.messages`). The CustomResourceDefinition and the reference pages are generated from
these types.
"""

from typing import TYPE_CHECKING

from modelmonitor_api.names import API_VERSION, GROUP, KIND, PLURAL, VERSION
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import ModelMonitorStatus

__version__: str
__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "PLURAL",
    "VERSION",
    "ModelMonitorSpec",
    "ModelMonitorStatus",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        """Return ``__version__`` from the installed metadata, on access because reading it slows down imports."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("modelmonitor-api")
