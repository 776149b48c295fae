"""What a replay does not reconstruct, as notes on its result."""

from __future__ import annotations

from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.replay.arrival import Arrival


def describe_limits(spec: ModelMonitorSpec, arrival: Arrival) -> list[str]:
    """Return the limits of a replay of a monitor, as sentences."""
    labels, notes = spec.data.labels, []
    if arrival is Arrival.MODIFIED:
        notes.append("Objects arrive at their modification times. A replaced object arrives with its last one.")
    else:
        notes.append(
            "Rows arrive with the end of their partition's day in UTC. Rows that arrived later are used too early."
        )
    if labels is not None and arrival is Arrival.DECLARED:
        notes.append(
            f"Labels arrive {labels.delay_days} days after the end of their partition's day (data.labels.delayDays). "
            "If they are partitioned by the day of their arrival, use --arrival Partition."
        )
    if labels is not None:
        notes.append("Labels that were corrected or overwritten later are used as they are now.")
    if spec.model.prediction_column is not None:
        notes.append(
            f"The predictions in {spec.model.prediction_column!r} are those of the model that really served, not of "
            "the models of this replay. Detectors of predictions test the former."
        )
    notes.append("Jobs take no time and have all the machines that they need.")
    notes.append("There are no approvals, pins or manual rollbacks.")
    notes.append("A promoted model serves from the following day on.")
    return notes
