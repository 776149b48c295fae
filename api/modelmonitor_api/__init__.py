"""The ModelMonitor resource and what passes between the operator and its pods.

Every name that a user can see is defined in this package and nowhere else: fields
(:mod:`~modelmonitor_api.spec`, :mod:`~modelmonitor_api.status`), labels, annotations,
condition types and reasons (:mod:`~modelmonitor_api.names`), and the JSON documents
exchanged with pods (:mod:`~modelmonitor_api.messages`). The CustomResourceDefinition and
the reference page are generated from these types.
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
