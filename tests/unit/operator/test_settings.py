"""Settings: from the environment, with the defaults of the chart."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelmonitor_operator.settings import Settings
from modelmonitor_policy import TrainingLimits

VALUES = Path(__file__).parents[3] / "charts" / "modelmonitor" / "values.yaml"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "TRAINER_IMAGE is not set"),
        ({"TRAINER_IMAGE": "x", "RESYNC_SECONDS": "0"}, "RESYNC_SECONDS"),
        ({"TRAINER_IMAGE": "x", "RESYNC_SECONDS": "often"}, "RESYNC_SECONDS"),
        ({"TRAINER_IMAGE": "x", "JOB_IMAGE_PULL_POLICY": "Sometimes"}, "JOB_IMAGE_PULL_POLICY"),
        ({"TRAINER_IMAGE": "x", "ROLLOUTS": "perhaps"}, "ROLLOUTS"),
        ({"TRAINER_IMAGE": "x", "MAX_CONCURRENT_TRAININGS": "-1"}, "MAX_CONCURRENT_TRAININGS is '-1'"),
        ({"TRAINER_IMAGE": "x", "METRICS_PORT": "65536"}, "METRICS_PORT is '65536'"),
        ({"TRAINER_IMAGE": "x", "HEALTH_PORT": "http"}, "HEALTH_PORT is 'http'"),
        ({"TRAINER_IMAGE": "x", "METRICS_FEATURES": "some"}, "METRICS_FEATURES"),
        ({"TRAINER_IMAGE": "x", "LOG_FORMAT": "yaml"}, "LOG_FORMAT"),
        ({"TRAINER_IMAGE": "x", "LOG_LEVEL": "chatty"}, "LOG_LEVEL"),
        ({"TRAINER_IMAGE": "x", "NOTIFICATIONS_URL": "events.example"}, "NOTIFICATIONS_URL is not a URL that begins"),
        ({"TRAINER_IMAGE": "x", "NOTIFICATIONS_URL": "https://"}, "NOTIFICATIONS_URL is not a URL that begins"),
        ({"TRAINER_IMAGE": "x", "NOTIFICATIONS_URL": "https://me:secret@events.example"}, "credentials into a Secret"),
        ({"TRAINER_IMAGE": "x", "NOTIFICATIONS_TYPES": "Drift,Promotd"}, "'Promotd'.* did you mean Promoted?"),
        ({"TRAINER_IMAGE": "x", "UI_EXTERNAL_URL": "ftp://models.example"}, "UI_EXTERNAL_URL"),
    ],
)
def test_invalid_settings_are_rejected_with_a_sentence(environment: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.from_environment(environment)


def test_settings_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "TRAINER_IMAGE": "trainer:1",
            "WATCH_NAMESPACES": " demo, other,",
            "IMAGE_PULL_SECRETS": "a,b",
            "JOB_IMAGE_PULL_POLICY": "Never",
            "RESYNC_SECONDS": "15",
            "METRICS_PORT": "9090",
            "HEALTH_PORT": "0",
            "METRICS_FEATURES": "true",
            "ROLLOUTS": "true",
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "plain",
            "MAX_CONCURRENT_TRAININGS": "8",
            "MAX_CONCURRENT_TRAININGS_PER_NAMESPACE": "2",
        }
    )
    expected = Settings("trainer:1", ("demo", "other"), "Never", ("a", "b"), 15.0, 9090, True, True, "debug", "plain")
    assert settings == replace(expected, training_limits=TrainingLimits(8, 2), health_port=0)


def test_settings_of_notifications() -> None:
    settings = Settings.from_environment(
        {
            "TRAINER_IMAGE": "x",
            "NOTIFICATIONS_URL": "https://events.example/hook?id=1",
            "NOTIFICATIONS_TOKEN": "t0ken\n",
            "NOTIFICATIONS_TYPES": "Drift, Promoted",
            "UI_EXTERNAL_URL": "https://models.example/ml/",
        }
    )
    assert (settings.notifications_url, settings.notifications_token) == ("https://events.example/hook?id=1", "t0ken")
    assert settings.notifications_types == ("Drift", "Promoted")
    assert settings.pages_url == "https://models.example/ml"
    assert not re.search("t0ken|hook", repr(settings))


def test_an_empty_variable_counts_as_not_set() -> None:
    names = ("WATCH_NAMESPACES", "IMAGE_PULL_SECRETS", "JOB_IMAGE_PULL_POLICY", "RESYNC_SECONDS", "ROLLOUTS")
    limits = ("MAX_CONCURRENT_TRAININGS", "MAX_CONCURRENT_TRAININGS_PER_NAMESPACE")
    metrics = ("METRICS_PORT", "METRICS_FEATURES", "HEALTH_PORT")
    empty = dict.fromkeys((*names, *limits, *metrics, "LOG_LEVEL", "LOG_FORMAT"), "")
    assert Settings.from_environment({"TRAINER_IMAGE": "x"} | empty) == Settings("x")


def test_every_default_is_that_of_the_chart() -> None:
    """Of the namespaces alone the defaults differ: the chart restricts the operator to the namespace of its release."""
    values: dict[str, Any] = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    of_the_chart = Settings(
        trainer_image="x",
        image_pull_policy=values["trainerImage"]["pullPolicy"],
        image_pull_secrets=tuple(secret["name"] for secret in values["imagePullSecrets"]),
        resync_seconds=values["resyncSeconds"],
        metrics_port=values["metrics"]["port"],
        feature_metrics=values["metrics"]["features"],
        rollouts=values["rollouts"]["enabled"],
        log_level=values["logLevel"],
        log_format=values["logFormat"],
        training_limits=TrainingLimits(
            values["maxConcurrentTrainings"]["total"], values["maxConcurrentTrainings"]["perNamespace"]
        ),
    )
    assert Settings("x") == of_the_chart
    assert Settings.from_environment({"TRAINER_IMAGE": "x"}) == of_the_chart
