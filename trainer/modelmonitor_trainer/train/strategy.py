"""Training strategies: Refit keeps the champion's parameters, Retrain searches again, WarmStart continues training."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import Estimator, ModelMonitorSpec, Parameter, Strategy
from modelmonitor_policy.training_calendar import MIN_TRAIN_ROWS
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.errors import BadData, NotFound
from modelmonitor_trainer.model.pipeline import Model, fit
from modelmonitor_trainer.model.search import SearchResult, search, with_parameters
from modelmonitor_trainer.model.warm_start import continue_training
from modelmonitor_trainer.registry.layout import PARAMETERS_FILE
from modelmonitor_trainer.registry.model_files import LoadedModel
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.rows import Rows, arrays_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmStartSource:
    """The champion as the starting point of a training.

    Attributes
    ----------
    loaded
        Its model.
    parameters
        Contents of its ``parameters.json``.
    """

    loaded: LoadedModel
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class TrainingResult:
    """A model fitted by a strategy, and how it was fitted.

    Attributes
    ----------
    model
        The model.
    strategy
        Strategy that was applied: Refit if a warm start was impossible.
    chosen
        Parameters chosen by the search of this training, or of an earlier one.
    search
        Result of the search of this training.
    warm
        Details of a warm start as JSON data: source version, number in a row, days and rows.
    refit
        A model fitted to the whole window, to compare with the warm start.
    notes
        Remarks for the record and the report.
    """

    model: Model
    strategy: Strategy
    chosen: tuple[Parameter, ...] = ()
    search: SearchResult | None = None
    warm: Mapping[str, Any] | None = None
    refit: Model | None = None
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return the part of ``parameters.json`` that describes the strategy."""
        return {
            "strategy": self.strategy.value,
            "chosen": [parameter.to_wire() for parameter in self.chosen],
            "search": self.search.to_json() if self.search else None,
            "warmStart": dict(self.warm) if self.warm else None,
        }


def warm_start_source(registry: ModelRegistry, loaded: LoadedModel | None) -> WarmStartSource | None:
    """Return the champion as the starting point of a training; None without a champion."""
    if loaded is None:
        return None
    try:
        parameters = json.loads(registry.read_file(loaded.version, PARAMETERS_FILE))
    except (NotFound, BadData) as error:
        _LOG.warning("the parameters of the champion are not used: %s", error)
        parameters = {}
    return WarmStartSource(loaded, parameters if isinstance(parameters, dict) else {})


def train_by_strategy(spec: ModelMonitorSpec, rows: Rows, champion: WarmStartSource | None) -> TrainingResult:
    """Fit a model by ``spec.retraining.strategy``.

    Raises
    ------
    InconclusiveTraining
        If there are too few new rows for a warm start.
    BadConfiguration, BadData
        As for :func:`~modelmonitor_trainer.model.pipeline.fit`.
    """
    declared = spec.retraining.estimator
    assert declared is not None
    same = champion is not None and same_estimator(declared, champion.parameters)
    if spec.retraining.strategy is Strategy.WARM_START and champion is not None:
        obstacle = _warm_start_obstacle(spec, rows, champion, same=same)
        if obstacle is None:
            return _warm_start(spec, rows, champion)
        _LOG.warning("no warm start: %s", obstacle)
        result = _refit(spec, rows, champion if same else None)
        return replace(result, notes=(*result.notes, f"full refit instead of a warm start: {obstacle}"))
    searches = spec.retraining.strategy is Strategy.RETRAIN
    return _refit(spec, rows, champion if same and not searches else None)


def _refit(spec: ModelMonitorSpec, rows: Rows, champion: WarmStartSource | None) -> TrainingResult:
    """Fit to the whole window, with the parameters that the champion's search chose, or with those of a new search."""
    declared, arrays = spec.retraining.estimator, arrays_of(rows.train, spec)
    assert declared is not None
    result: SearchResult | None = None
    chosen: tuple[Parameter, ...] = ()
    if declared.search is not None and champion is not None:
        chosen = chosen_parameters(champion.parameters)
    elif declared.search is not None:
        result = search(
            declared,
            spec.model.features,
            spec.model.task,
            arrays,
            rows.train_truth,
            rows.known_classes,
            spec.promotion.metric,
            seed=spec.retraining.random_seed,
            days=rows.train.days,
        )
        chosen = result.chosen
        named = ", ".join(f"{parameter.name} = {parameter.value}" for parameter in chosen)
        _LOG.info("best of %s combinations, in %.1f s: %s", result.tried, result.seconds, named)
    model = _fit(spec, rows, arrays, with_parameters(declared, chosen))
    return TrainingResult(
        model,
        Strategy.RETRAIN if spec.retraining.strategy is Strategy.RETRAIN else Strategy.REFIT,
        chosen,
        result,
        notes=result.notes if result else (),
    )


def _fit(spec: ModelMonitorSpec, rows: Rows, arrays: Mapping[str, Array], estimator: Estimator) -> Model:
    return fit(
        estimator,
        spec.model.features,
        spec.model.task,
        arrays,
        rows.train_truth,
        rows.known_classes,
        seed=spec.retraining.random_seed,
        days=rows.train.days,
    )


def _warm_start(spec: ModelMonitorSpec, rows: Rows, champion: WarmStartSource) -> TrainingResult:
    """Continue the champion's training on newer rows; after several warm starts in a row, also fit a full refit."""
    declared, settings = spec.retraining.estimator, spec.retraining.warm_start
    assert declared is not None
    new = _new_rows(rows, champion)
    arrays = arrays_of(rows.train, spec)
    model = continue_training(
        champion.loaded.model,
        declared,
        {name: values[new] for name, values in arrays.items()},
        rows.train_truth[new],
        rows.train.days[new],
        settings,
    )
    in_a_row = int((champion.parameters.get("warmStart") or {}).get("inARow", 0)) + 1
    compares = in_a_row > settings.full_refit_every
    refit = _refit(spec, rows, champion) if compares else None
    days = rows.train.days[new].astype("datetime64[D]")
    warm = {
        "from": champion.loaded.version.version,
        # The comparison with a refit resets the count.
        "inARow": 0 if compares else in_a_row,
        "firstDay": str(days.min()),
        "lastDay": str(days.max()),
        "rows": int(new.size),
    }
    _LOG.info("%s continues training on %s rows since %s", warm["from"], f"{new.size:,}", warm["firstDay"])
    return TrainingResult(
        model,
        Strategy.WARM_START,
        chosen_parameters(champion.parameters),
        warm=warm,
        refit=refit.model if refit else None,
    )


def _warm_start_obstacle(spec: ModelMonitorSpec, rows: Rows, champion: WarmStartSource, *, same: bool) -> str | None:
    """Return why the champion's training cannot be continued; None if it can.

    Raises
    ------
    InconclusiveTraining
        If there are too few new rows.
    """
    loaded = champion.loaded
    if not same:
        return f"retraining.estimator differs from that of {loaded.version.version}"
    if list(loaded.features) != list(spec.model.features):
        return f"model.features differ from those of {loaded.version.version}"
    if loaded.classes != rows.known_classes:
        return f"the classes {', '.join(rows.known_classes)} differ from those of {loaded.version.version}"
    new = _new_rows(rows, champion)
    if new.size < MIN_TRAIN_ROWS:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{new.size:,} labelled rows have arrived after {loaded.version.train.end}, the last day of the champion's "
            f"training window, and a warm start needs at least {MIN_TRAIN_ROWS}; wait for more data",
        )
    if rows.known_classes and np.unique(rows.train_truth[new]).size < len(rows.known_classes):
        return "the new rows lack a class"
    return None


def _new_rows(rows: Rows, champion: WarmStartSource) -> Ints:
    """Return the indices of the rows after the champion's training window."""
    end = np.datetime64(champion.loaded.version.train.end, "D").astype(np.int64)
    return np.flatnonzero(rows.train.days > end)


def same_estimator(declared: Estimator, parameters: Mapping[str, Any]) -> bool:
    """Whether a version was trained with the same ``retraining.estimator``, so that its chosen parameters apply."""
    try:
        # Parsed, so that fields of later releases have their defaults.
        return Estimator.model_validate(parameters.get("estimator")) == declared
    except ValidationError:
        return False


def chosen_parameters(parameters: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Return the parameters chosen by the search of a version, or of an earlier one."""
    return tuple(Parameter.model_validate(item) for item in parameters.get("chosen") or ())
