"""What a replay cannot reconstruct, said with its result."""

from __future__ import annotations

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.replay.arrival import Arrival


def limits(spec: ModelMonitorSpec, arrival: Arrival) -> list[str]:
    """Return the limits of a replay of a monitor, as sentences."""
    labels, notes = spec.data.labels, []
    if arrival is Arrival.MODIFIED:
        notes.append("Objects arrive at their modification times; an object that was replaced arrives with its last.")
    else:
        notes.append(
            "Rows arrive with the end of their partition's day in UTC: rows that came later are seen too early."
        )
    if labels is not None and arrival is Arrival.DECLARED:
        notes.append(
            f"Labels arrive {labels.delay_days} days after the end of their partition's day (data.labels.delayDays). "
            "If they are partitioned by the day of their arrival, use --arrival Partition."
        )
    if labels is not None:
        notes.append("Labels that were corrected or overwritten later are seen as they are now.")
    if spec.model.prediction_column is not None:
        notes.append(
            f"The predictions in {spec.model.prediction_column!r} are those of the model that really served, not of "
            "the models of this replay; detectors of predictions judge the former."
        )
    notes.append("Jobs take no time, never fail for want of machines, and nobody approves, pins or rolls back by hand.")
    notes.append("A model that is promoted serves from the following day on.")
    return notes
