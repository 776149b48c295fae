"""Settings of the operator, from environment variables that the chart sets.

The defaults are those of the chart's values; a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from modelmonitor_operator.words import known_word, nearest_word
from modelmonitor_policy import TrainingLimits

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_LOG_LEVELS = ("debug", "info", "warning", "error")
_LOG_FORMATS = ("json", "plain")
_MAX_PORT = 65535
_UNLIMITED = TrainingLimits()


@dataclass(frozen=True)
class Settings:
    """Settings of the operator.

    Attributes
    ----------
    namespaces
        Namespaces to watch; empty for all (WATCH_NAMESPACES, comma-separated).
    trainer_image
        Image of the pods that check and train (TRAINER_IMAGE). The only setting without a default.
    image_pull_policy
        Pull policy of those pods (JOB_IMAGE_PULL_POLICY).
    image_pull_secrets
        Pull secrets of those pods, in the namespace of the monitor (IMAGE_PULL_SECRETS, comma-separated).
    resync_seconds
        Seconds between two reconciliations of every monitor without an event (RESYNC_SECONDS).
    training_limits
        How many trainings run at the same time (MAX_CONCURRENT_TRAININGS and MAX_CONCURRENT_TRAININGS_PER_NAMESPACE).
    metrics_port
        Port of the metrics for Prometheus (METRICS_PORT); 0 for none.
    health_port
        Port of the probes (HEALTH_PORT); 0 for none.
    feature_metrics
        Whether single columns have series (METRICS_FEATURES, true or false).
    rollouts
        Whether champions can be rolled out to Deployments (ROLLOUTS, true or false).
    log_level
        Least severe messages that are logged (LOG_LEVEL): debug, info, warning or error.
    log_format
        Format of the log (LOG_FORMAT): json or plain.
    notifications_url
        Where CloudEvents are sent (NOTIFICATIONS_URL); empty for nowhere.
    notifications_token
        Bearer token for it (NOTIFICATIONS_TOKEN); empty for none.
    notifications_types
        Verdicts and actions that are sent (NOTIFICATIONS_TYPES, comma-separated); empty for all.
    pages_url
        Where people reach the pages over the monitors (UI_EXTERNAL_URL), without a slash at its end; empty if nowhere.
    cluster
        Identifies the cluster, so that monitors of two clusters do not share results; from the API server's
        certificate authority, not from the environment.
    """

    trainer_image: str
    namespaces: tuple[str, ...] = ()
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    resync_seconds: float = 60.0
    metrics_port: int = 8081
    feature_metrics: bool = False
    rollouts: bool = False
    log_level: str = "info"
    log_format: str = "json"
    #: The addresses of some receivers contain a secret.
    notifications_url: str = field(default="", repr=False)
    notifications_token: str = field(default="", repr=False)
    notifications_types: tuple[str, ...] = ()
    pages_url: str = ""
    cluster: str | None = None
    training_limits: TrainingLimits = _UNLIMITED
    health_port: int = 8080

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings in `environment`; an empty variable counts as not set.

        Raises
        ------
        ValueError
            With a sentence, if a variable is missing or invalid.
        """
        image = environment.get("TRAINER_IMAGE", "")
        if not image:
            raise ValueError("TRAINER_IMAGE is not set; it names the image of the pods that check and train")
        resync = environment.get("RESYNC_SECONDS") or str(cls.resync_seconds)
        if not (resync.replace(".", "", 1).isdigit() and float(resync) > 0):
            raise ValueError(f"RESYNC_SECONDS is {resync!r}; it must be a number greater than 0")

        def count(name: str) -> int:
            value = environment.get(name) or "0"
            if not value.isdigit():
                raise ValueError(f"{name} is {value!r}; it must be a whole number, and 0 means no limit")
            return int(value)

        def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
            value = environment.get(name) or default
            match = {item.lower(): item for item in choices}.get(value.lower())
            if match is None:
                raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
            return match

        def flag(name: str, *, default: bool) -> bool:
            return choice(name, str(default).lower(), ("true", "false")) == "true"

        return cls(
            trainer_image=image,
            namespaces=_names(environment.get("WATCH_NAMESPACES", "")),
            image_pull_policy=choice("JOB_IMAGE_PULL_POLICY", cls.image_pull_policy, _PULL_POLICIES),
            image_pull_secrets=_names(environment.get("IMAGE_PULL_SECRETS", "")),
            resync_seconds=float(resync),
            metrics_port=_port(environment, "METRICS_PORT", cls.metrics_port),
            health_port=_port(environment, "HEALTH_PORT", cls.health_port),
            feature_metrics=flag("METRICS_FEATURES", default=cls.feature_metrics),
            rollouts=flag("ROLLOUTS", default=cls.rollouts),
            log_level=choice("LOG_LEVEL", cls.log_level, _LOG_LEVELS),
            log_format=choice("LOG_FORMAT", cls.log_format, _LOG_FORMATS),
            notifications_url=_url(environment, "NOTIFICATIONS_URL"),
            notifications_token=environment.get("NOTIFICATIONS_TOKEN", "").strip(),
            notifications_types=_words(environment, "NOTIFICATIONS_TYPES"),
            pages_url=_url(environment, "UI_EXTERNAL_URL").rstrip("/"),
            training_limits=TrainingLimits(
                count("MAX_CONCURRENT_TRAININGS"), count("MAX_CONCURRENT_TRAININGS_PER_NAMESPACE")
            ),
        )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not (value.isdigit() and int(value) <= _MAX_PORT):
        raise ValueError(f"{name} is {value!r}; it must be a port, and 0 means that nothing listens")
    return int(value)


def _words(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    words = _names(environment.get(name, ""))
    for word in words:
        if known_word(word) != word:
            nearest = nearest_word(word)
            hint = f"; did you mean {nearest}?" if nearest else ""
            raise ValueError(f"{name} names {word!r}, which is neither a verdict nor an action of the history{hint}")
    return words


def _url(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError(f"{name} is not a URL that begins with http:// or https:// and has a host")
    if "@" in parts.netloc:
        raise ValueError(f"{name} contains a user name or a password; put credentials into a Secret")
    return value


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
