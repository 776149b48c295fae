"""Words that mean a missing value in CSV, counted by column.

A reader of values turns them into NULL without counting them, so the columns are read once more, as text.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence

from modelmonitor_trainer.data.object_format import AnyFormat, csv_options, with_csv_options
from modelmonitor_trainer.data.tables import Unreadable, is_text, scan
from modelmonitor_trainer.data.text_numbers import NULL_WORDS
from modelmonitor_trainer.storage.base import ObjectInfo, Store


def count_null_words(store: Store, info: ObjectInfo, columns: Sequence[str], fmt: AnyFormat) -> dict[str, Counter[str]]:
    """Return column → word → number of values, of the words that mean a missing value.

    Empty values are not counted, nor is anything of an object that cannot be read. Words in quotes are values; here
    they count as the words that they are.
    """
    options = csv_options(fmt)
    meant = {word for word in (NULL_WORDS if options.null_values is None else options.null_values) if word}
    counts: dict[str, Counter[str]] = {}
    literal = with_csv_options(fmt, options.model_copy(update={"null_values": []}))
    with contextlib.suppress(Unreadable), scan(store, info, columns, literal, text=columns) as opened:
        for name, values in opened.chunks:
            if not is_text(values.type):
                continue
            for chunk in values.chunks:
                for item in chunk.value_counts().to_pylist():
                    word = item["values"]
                    if word is not None and word.strip() in meant:
                        counts.setdefault(name, Counter())[word.strip()] += item["counts"]
    return counts
