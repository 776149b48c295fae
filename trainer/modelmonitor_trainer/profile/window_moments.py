"""Cross-moments of the batches of a window, from the cache where they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.tables import Unreadable
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.profile import moments as cross
from modelmonitor_trainer.profile.cache import Codec, ProfileCache
from modelmonitor_trainer.profile.engine import Engine, ThreadEngine
from modelmonitor_trainer.profile.moments import Moments, Scale
from modelmonitor_trainer.progress import ProgressCallback, no_progress
from modelmonitor_trainer.storage.base import ObjectInfo, Store


@dataclass(frozen=True)
class MomentsTask:
    """Compute the cross-moments of one object.

    Attributes
    ----------
    info
        The object, pinned to its ETag.
    scales
        How its columns are scaled.
    fmt
        Encoding of the object.
    """

    info: ObjectInfo
    scales: tuple[Scale, ...]
    fmt: AnyFormat

    def run(self, store: Store, progress: ProgressCallback = no_progress) -> Moments | Unreadable:  # noqa: ARG002 - short
        """Return the moments, or the error of an object that cannot be decoded."""
        try:
            return cross.moments_of_object(store, self.info, self.scales, self.fmt)
        except Unreadable as error:
            return error

    def others(self, first: Moments) -> Sequence[MomentsTask]:  # noqa: ARG002 - an object has one part
        """Return no tasks: a sample is small."""
        return ()

    def combine(self, parts: Sequence[Moments]) -> Moments:
        """Return the moments of the only part."""
        return parts[0]


def window_moments(
    store: Store,
    batches: Sequence[Batch],
    scales: Sequence[Scale],
    fmt: AnyFormat,
    cache: ProfileCache,
    *,
    engine: Engine | None = None,
) -> list[Moments]:
    """Return the cross-moments of each batch, from a sample of the rows of each of its objects.

    Objects that cannot be decoded add nothing: the DataQuality detector reports them.

    Parameters
    ----------
    store
        Object store.
    batches
        Objects of the window, by batch.
    scales
        How the columns are scaled; at least two, or there are no pairs.
    fmt
        Encoding of the objects.
    cache
        Results of earlier checks; new ones are added.
    engine
        Where objects are read; threads of this process by default.
    """
    tasks = [MomentsTask(info, tuple(scales), fmt) for batch in batches for info in batch.objects]
    width = len(scales)
    codec: Codec[Moments] = Codec("moments", cross.to_bytes, lambda data, _: cross.from_bytes(data, width))
    from threadpoolctl import threadpool_limits

    # Objects are spread over threads already; more threads for each product of narrow matrices wait for each other, and
    # the last bits of a product can depend on their number.
    with threadpool_limits(1):
        entries = cache.entries(cross.scales_key(scales), codec)
        results = (engine or ThreadEngine()).run(store, tasks, entries)
        of_objects = iter([cross.empty(width) if isinstance(one, Unreadable) else one for one in results])
    return [cross.total([next(of_objects) for _ in batch.objects], width) for batch in batches]
