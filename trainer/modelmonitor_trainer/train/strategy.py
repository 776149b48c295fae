"""What a training keeps of the champion: nothing but its parameters, not even these, or all that it has learnt."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from modelmonitor_api.spec import Estimator, ModelMonitorSpec, Parameter, Strategy
from modelmonitor_trainer.arrays import Array, Ints
from modelmonitor_trainer.data.manifest import MIN_TRAIN_ROWS
from modelmonitor_trainer.gate.evaluation import GateReason
from modelmonitor_trainer.model.pipeline import Model, fit
from modelmonitor_trainer.model.search import SearchResult, search, with_parameters
from modelmonitor_trainer.model.warm_start import continue_training
from modelmonitor_trainer.registry.layout import PARAMETERS_FILE
from modelmonitor_trainer.registry.model_files import LoadedModel
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.train.rows import Rows, arrays_of
from modelmonitor_trainer.train.run import InconclusiveTraining

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmStartSource:
    """The champion as something to go on from.

    Attributes
    ----------
    loaded
        Its model.
    parameters
        What its parameters.json says.
    """

    loaded: LoadedModel
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """A model by the strategy, and how it came to be.

    Attributes
    ----------
    model
        The model.
    strategy
        What was done in the end: a warm start that cannot be is a Refit.
    chosen
        Parameters that a search has chosen, this one or that of the champion.
    found
        What the search of this training has found.
    warm
        Of a warm start, as JSON data: from which version, how many in a row, which days and rows.
    beside
        A model fitted to the whole window, to be compared with a warm start.
    notes
        What there is to say.
    """

    model: Model
    strategy: Strategy
    chosen: tuple[Parameter, ...] = ()
    found: SearchResult | None = None
    warm: Mapping[str, Any] | None = None
    beside: Model | None = None
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return what parameters.json keeps of it."""
        return {
            "strategy": self.strategy.value,
            "chosen": [parameter.to_wire() for parameter in self.chosen],
            "search": self.found.to_json() if self.found else None,
            "warmStart": dict(self.warm) if self.warm else None,
        }


def warm_start_source(registry: ModelRegistry, loaded: LoadedModel | None) -> WarmStartSource | None:
    """Return the champion as something to go on from; None where there is none."""
    if loaded is None:
        return None
    found = json.loads(registry.read_file(loaded.version, PARAMETERS_FILE))
    return WarmStartSource(loaded, found if isinstance(found, dict) else {})


def train_by_strategy(spec: ModelMonitorSpec, rows: Rows, champion: WarmStartSource | None) -> Trained:
    """Return a model fitted as ``spec.retraining.strategy`` says.

    Raises
    ------
    InconclusiveTraining
        If no new rows have come for a warm start.
    BadConfiguration, BadData
        As :func:`~modelmonitor_trainer.model.pipeline.fit`.
    """
    declared = spec.retraining.estimator
    assert declared is not None
    same = champion is not None and _made_alike(declared, champion.parameters)
    if spec.retraining.strategy is Strategy.WARM_START and champion is not None:
        why = _why_not_warm(spec, rows, champion, same=same)
        if why is None:
            return _warm(spec, rows, champion)
        _LOG.warning("no warm start: %s", why)
        refit = _refit(spec, rows, champion if same else None)
        return replace(refit, notes=(*refit.notes, f"fitted to the whole window instead of a warm start: {why}"))
    searches = spec.retraining.strategy is Strategy.RETRAIN
    return _refit(spec, rows, champion if same and not searches else None)


def _refit(spec: ModelMonitorSpec, rows: Rows, champion: WarmStartSource | None) -> Trained:
    """Fit to the whole window, with the champion's choice of parameters, or a choice of its own."""
    declared, arrays = spec.retraining.estimator, arrays_of(rows.train, spec)
    assert declared is not None
    found: SearchResult | None = None
    chosen: tuple[Parameter, ...] = ()
    if declared.search is not None and champion is not None:
        chosen = chosen_parameters(champion.parameters)
    elif declared.search is not None:
        found = search(
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
        chosen = found.chosen
        named = ", ".join(f"{parameter.name} = {parameter.value}" for parameter in chosen)
        _LOG.info("the best of %s combinations, found in %.1f s: %s", found.tried, found.seconds, named)
    model = _fitted(spec, rows, arrays, with_parameters(declared, chosen))
    return Trained(
        model,
        Strategy.RETRAIN if spec.retraining.strategy is Strategy.RETRAIN else Strategy.REFIT,
        chosen,
        found,
        notes=found.notes if found else (),
    )


def _fitted(spec: ModelMonitorSpec, rows: Rows, arrays: Mapping[str, Array], estimator: Estimator) -> Model:
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


def _warm(spec: ModelMonitorSpec, rows: Rows, champion: WarmStartSource) -> Trained:
    """Have the champion learn from the rows since its training window, and now and then fit anew beside it."""
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
    row = int((champion.parameters.get("warmStart") or {}).get("inARow", 0)) + 1
    compares = row > settings.full_refit_every
    beside = _refit(spec, rows, champion) if compares else None
    days = rows.train.days[new].astype("datetime64[D]")
    warm = {
        "from": champion.loaded.version.version,
        # After a comparison that it has stood, it counts anew.
        "inARow": 0 if compares else row,
        "firstDay": str(days.min()),
        "lastDay": str(days.max()),
        "rows": int(new.size),
    }
    _LOG.info("%s goes on with %s rows since %s", warm["from"], f"{new.size:,}", warm["firstDay"])
    return Trained(
        model,
        Strategy.WARM_START,
        chosen_parameters(champion.parameters),
        warm=warm,
        beside=beside.model if beside else None,
    )


def _why_not_warm(spec: ModelMonitorSpec, rows: Rows, champion: WarmStartSource, *, same: bool) -> str | None:
    """Return why the champion cannot learn from new rows alone; None where it can.

    Raises
    ------
    InconclusiveTraining
        If there are too few new rows.
    """
    loaded = champion.loaded
    if not same:
        return f"retraining.estimator is not what {loaded.version.version} was made by"
    if list(loaded.features) != list(spec.model.features):
        return f"model.features are not those of {loaded.version.version}"
    if loaded.classes != rows.known_classes:
        return f"the classes are {', '.join(rows.known_classes)}, and {loaded.version.version} knows others"
    new = _new_rows(rows, champion)
    if new.size < MIN_TRAIN_ROWS:
        raise InconclusiveTraining(
            GateReason.TOO_FEW_ROWS,
            f"{new.size:,} rows with labels have come since {loaded.version.train.end}, the last day of the "
            f"champion's training window, and {MIN_TRAIN_ROWS} are needed for a warm start; wait for more data",
        )
    if rows.known_classes and np.unique(rows.train_truth[new]).size < len(rows.known_classes):
        return "the new rows lack a class"
    return None


def _new_rows(rows: Rows, champion: WarmStartSource) -> Ints:
    end = np.datetime64(champion.loaded.version.train.end, "D").astype(np.int64)
    return np.flatnonzero(rows.train.days > end)


def _made_alike(declared: Estimator, parameters: Mapping[str, Any]) -> bool:
    """Whether a version was made by the same declaration, so that its choice of parameters still is one."""
    try:
        # Parsed, so that a field which came with a later release counts as its default.
        return Estimator.model_validate(parameters.get("estimator")) == declared
    except ValidationError:
        return False


def chosen_parameters(parameters: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Return the parameters that the search of a version, or of one before it, has chosen."""
    return tuple(Parameter.model_validate(item) for item in parameters.get("chosen") or ())
