"""Whether a training has anything new: data that no training has used, and a model that is not known already."""

from __future__ import annotations

from modelmonitor_api.outcomes import GateOutcome, RunOutcome
from modelmonitor_api.reasons import GateReason
from modelmonitor_api.spec import PromotionMode
from modelmonitor_api.times import format_time
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.registry.known_models import LeftModel, find_trained, left_models
from modelmonitor_trainer.registry.records import Pointer, VersionRecord
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.run import Run


def refuse_known_data(run: Run, manifest: Manifest, champion: Pointer | None) -> None:
    """Refuse data from which a training with the same spec and image has made a version.

    Raises
    ------
    InconclusiveTraining
        NothingNew if it is the champion, or was compared with it; Rejected if a rollback has replaced it.
    """
    if champion is None:
        # After a retirement a person starts over, with whatever data.
        if run.registry.serving() is None:
            _refuse_known_first_model(run, manifest)
        return
    for left in left_models(run.registry, champion):
        if left.manifest_sha256 == manifest.sha256:
            raise _left(left, "the training data are those of")
    version = champion.version
    known = find_trained(
        run.registry, manifest_sha256=manifest.sha256, champion=version, image=run.request.trainer_image
    )
    if known is None or (known.version != version and _awaits_only_its_job(run, known, champion)):
        return
    days = f"the training data ({manifest.train[0]} to {manifest.train[1]}) and the spec are those of"
    if known.version == version:
        message = f"{days} the champion {version}; wait for newer data, or change the spec"
    else:
        message = (
            f"{days} {known.version}, which was compared with the champion {version}: {known.outcome} "
            f"({known.reason}). Wait for newer data, or promote it manually: modelmonitor promote --version "
            f"{known.version} --reason TEXT"
        )
    raise InconclusiveTraining(GateReason.SAME_DATA, message, RunOutcome.NOTHING_NEW)


def _refuse_known_first_model(run: Run, manifest: Manifest) -> None:
    """Refuse data from which a first model was made that is not the champion."""
    image = run.request.trainer_image
    known = find_trained(run.registry, manifest_sha256=manifest.sha256, champion=None, image=image)
    if known is None or _awaits_only_its_job(run, known, None):
        return
    raise InconclusiveTraining(
        GateReason.SAME_DATA,
        f"the training data ({manifest.train[0]} to {manifest.train[1]}) and the spec are those of {known.version}, "
        f"which was not promoted: {known.outcome} ({known.reason}). Wait for newer data, change the spec, or promote "
        f"it manually: modelmonitor promote --version {known.version} --reason TEXT",
        RunOutcome.NOTHING_NEW,
    )


def _awaits_only_its_job(run: Run, known: VersionRecord, champion: Pointer | None) -> bool:
    """Whether a version passed, no person needs to approve it, and it was not promoted all the same: its Job died."""
    pinned = run.request.pinned or (champion is not None and champion.pin is not None)
    approved = run.spec.promotion.mode is PromotionMode.AUTO and not pinned
    return approved and known.outcome is GateOutcome.PASSED


def refuse_known_model(run: Run, digest: str | None, champion: Pointer | None) -> None:
    """Refuse a model that is the champion's, or one that a rollback has replaced.

    Parameters
    ----------
    run
        The training.
    digest
        Digest of the trained model, see :attr:`~modelmonitor_trainer.registry.records.VersionRecord.model_sha256`;
        None for a model without files, which cannot be distinguished from others.
    champion
        The champion; None if there is none.

    Raises
    ------
    InconclusiveTraining
        NothingNew or Rejected, as in :func:`refuse_known_data`.
    """
    if champion is None or digest is None:
        return
    record = run.registry.find_version(champion.version)
    if record is not None and record.compared_sha256 == digest:
        raise InconclusiveTraining(
            GateReason.SAME_MODEL,
            f"the trained model is that of the champion {champion.version}: its parameters are equal; wait for newer "
            "data, or change retraining.estimator",
            RunOutcome.NOTHING_NEW,
        )
    if record is not None and record.model_sha256 == digest:
        raise InconclusiveTraining(
            GateReason.SAME_MODEL,
            f"a model of the days before the hold-out is the champion {champion.version} itself, because all days "
            f"after its training data (through {champion.data_end}) are in the hold-out, so a comparison would show "
            "nothing; wait for newer data, or lower promotion.holdoutDays",
            RunOutcome.NOTHING_NEW,
        )
    for left in left_models(run.registry, champion):
        if left.model_sha256 == digest:
            raise _left(left, "the trained model is that of")


def _left(left: LeftModel, how: str) -> InconclusiveTraining:
    return InconclusiveTraining(
        GateReason.LEFT_BY_ROLLBACK,
        f"{how} {left.version}, which was rolled back on {format_time(left.rollback.since)} "
        f"({left.rollback.reason or 'Requested'}), so it is not promoted automatically. To promote it: modelmonitor "
        f"promote --version {left.version} --reason TEXT",
        RunOutcome.REJECTED,
    )
