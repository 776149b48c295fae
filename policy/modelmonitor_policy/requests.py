"""Requests that users make with annotations of a ModelMonitor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelmonitor_api import names
from modelmonitor_api.status import HandledRequests

#: Tokens become part of names and of the status, so longer ones are truncated.
MAX_TOKEN = 253
MAX_VERSION = 64
MAX_COMMENT = 500


@dataclass(frozen=True)
class Requests:
    """Tokens of requests, one of each kind; None where nothing is requested.

    A token is opaque and served once: a user asks again by writing another one.

    Attributes
    ----------
    check, retrain
        Request a check, or a training.
    rollback, promote
        Request a rollback, or the promotion of a version. The token begins with the version, see :func:`version_of`.
    promote_reason
        Why the version is promoted. No token, as the next one.
    pin
        Why the champion is pinned, as long as it is; None if it is not.
    """

    check: str | None = None
    retrain: str | None = None
    rollback: str | None = None
    promote: str | None = None
    promote_reason: str | None = None
    pin: str | None = None

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, str]) -> Requests:
        """Return the requests in the annotations of a ModelMonitor."""

        def token(annotation: str) -> str | None:
            return annotations.get(annotation, "")[:MAX_TOKEN] or None

        return cls(
            check=token(names.ANNOTATION_CHECK_REQUESTED),
            retrain=token(names.ANNOTATION_RETRAIN_REQUESTED),
            rollback=token(names.ANNOTATION_ROLLBACK_TO),
            promote=token(names.ANNOTATION_PROMOTE),
            promote_reason=annotations.get(names.ANNOTATION_PROMOTE_REASON, "")[:MAX_COMMENT] or None,
            pin=annotations.get(names.ANNOTATION_PIN, "")[:MAX_COMMENT] or None,
        )

    def pending(self, handled: HandledRequests) -> Requests:
        """Return the requests that have not been handled yet."""
        return Requests(
            check=self.check if self.check != handled.check else None,
            retrain=self.retrain if self.retrain != handled.retrain else None,
            rollback=self.rollback if self.rollback != handled.rollback else None,
            promote=self.promote if self.promote != handled.promote else None,
            promote_reason=self.promote_reason,
            pin=self.pin,
        )


def version_of(token: str) -> str:
    """Return the version that a token names.

    What follows a ``#`` makes a token different from an earlier one for the same version.

    >>> version_of("previous"), version_of("previous#2")
    ('previous', 'previous')
    """
    return token.partition("#")[0][:MAX_VERSION]
