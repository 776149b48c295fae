"""What the operator is told at its start, by environment variables that the chart sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


@dataclass(frozen=True)
class Settings:
    """Settings of the operator.

    Attributes
    ----------
    namespaces
        Namespaces to watch; empty for all (WATCH_NAMESPACES, comma-separated).
    trainer_image
        Image of the pods that check and train (TRAINER_IMAGE).
    image_pull_policy
        Of those pods (JOB_IMAGE_PULL_POLICY).
    image_pull_secrets
        Of those pods, names in the namespace of the monitor (IMAGE_PULL_SECRETS, comma-separated).
    resync_seconds
        How often every monitor is looked at without an event (RESYNC_SECONDS).
    rollouts
        Whether Deployments may be told of new champions (ROLLOUTS, true or false).
    """

    trainer_image: str
    namespaces: tuple[str, ...] = ()
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    resync_seconds: float = 90.0
    rollouts: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings in `environment`.

        Raises
        ------
        ValueError
            With a sentence, where one is missing or makes no sense.
        """
        image = environment.get("TRAINER_IMAGE", "")
        if not image:
            raise ValueError("TRAINER_IMAGE is not set; it names the image of the pods that check and train")
        resync = environment.get("RESYNC_SECONDS") or "90"
        if not (resync.replace(".", "", 1).isdigit() and float(resync) > 0):
            raise ValueError(f"RESYNC_SECONDS is {resync!r}; it must be a number greater than 0")
        policy = environment.get("JOB_IMAGE_PULL_POLICY") or "IfNotPresent"
        if policy not in _PULL_POLICIES:
            raise ValueError(f"JOB_IMAGE_PULL_POLICY is {policy!r}; it must be one of {', '.join(_PULL_POLICIES)}")
        rollouts = environment.get("ROLLOUTS") or "false"
        if rollouts not in {"true", "false"}:
            raise ValueError(f"ROLLOUTS is {rollouts!r}; it must be true or false")
        return cls(
            trainer_image=image,
            namespaces=_names(environment.get("WATCH_NAMESPACES", "")),
            image_pull_policy=policy,
            image_pull_secrets=_names(environment.get("IMAGE_PULL_SECRETS", "")),
            rollouts=rollouts == "true",
            resync_seconds=float(resync),
        )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
