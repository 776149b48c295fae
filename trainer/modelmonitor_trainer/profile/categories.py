"""Categories of a categorical column: counts per known category, hash buckets for all others.

A value that is not a known category is counted in the bucket of its hash, so that a shift among rare values is
detected. The hash is the same on every machine.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Counts, Ints
from modelmonitor_trainer.data.canonical import numeral, words_of
from modelmonitor_trainer.data.truth_words import FALSE, TRUE
from modelmonitor_trainer.profile.cardinality import Registers, add_hashes, no_registers
from modelmonitor_trainer.profile.hashing import Hashes, bucket_of, checksums_in, checksums_of, hashes_of

#: Bytes of a value that is stored in full, and characters that are stored of a longer one.
LONGEST, _PREFIX = 256, 60
#: How many of the values that are not known categories are stored by name.
EXAMPLES = 32
#: Buckets for other values, in a column that has more values than known categories.
BUCKETS = 128


@dataclass(frozen=True)
class Vocabulary:
    """The categories that a column's plan knows; threads can share it.

    Attributes
    ----------
    known, allowed
        Known categories in the order of their cells; values that the contract allows, None for all.
    aliases
        Other spellings of known categories, for columns that hold true and false.
    numerals
        Shortest decimal → the only known category of that value, for columns that hold fractions.
    hashes : (known,)
        Hashes of the known categories.
    buckets
        Number of buckets for other values; 0 for none.
    """

    known: pa.StringArray
    allowed: pa.StringArray | None
    hashes: Hashes
    buckets: int = 0
    aliases: Mapping[str, str] = field(default_factory=dict)
    numerals: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, known: Sequence[str], allowed: Iterable[str] | None = None, buckets: int = 0) -> Vocabulary:
        """Return the vocabulary of some known categories."""
        permitted = None if allowed is None else shorten(_permitted_texts(allowed))
        hashes = hashes_of(checksums_of(known))
        return cls(_strings(known), permitted, hashes, buckets, _aliases(known), _numerals(known))

    def resolve_aliases(self, words: pa.StringArray) -> pa.StringArray:
        """Return `words` with other spellings of the known categories replaced by these."""
        if self.aliases:
            words = _replace_words(words, words, self.aliases)
        if self.numerals:
            unknown = pc.if_else(pc.is_in(words, value_set=self.known), pa.scalar(None, pa.string()), words)
            decimals = [None if word is None else numeral(word) for word in unknown.to_pylist()]
            words = _replace_words(words, pa.array(decimals, pa.string()), self.numerals)
        return words


def merge_spellings(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts of words with the spellings of true, and those of false, counted as the most common one of each.

    Only of a column that holds both and nothing else; others are returned as they are.
    """
    spelled = [[word for word in counts if word in spellings] for spellings in (TRUE, FALSE)]
    if not all(spelled) or sum(map(len, spelled)) < len(counts):
        return dict(counts)
    return {max(words, key=lambda word: (counts[word], word)): sum(counts[word] for word in words) for words in spelled}


def _replace_words(words: pa.StringArray, keys: pa.StringArray, replacements: Mapping[str, str]) -> pa.StringArray:
    """Return words, or the replacement of their key where there is one."""
    indices = pc.index_in(keys, value_set=_strings([*replacements]))
    return pc.coalesce(_strings([*replacements.values()]).take(indices), words)


def _numerals(known: Sequence[str]) -> dict[str, str]:
    """Return shortest decimal → the only known spelling of it, if there are fractions among the known categories.

    Versions such as 1.1 and 1.10 are two categories: where both are known, each is only itself.
    """
    spellings: dict[str, list[str]] = {}
    for word in known:
        decimal = numeral(word) if word[-1:].isdigit() else None
        if decimal is not None:
            spellings.setdefault(decimal, []).append(word)
    if not any("." in decimal for decimal in spellings):
        return {}
    return {decimal: words[0] for decimal, words in spellings.items() if len(words) == 1}


def _permitted_texts(allowed: Iterable[str]) -> pa.StringArray:
    """Return allowed values as canonical text, in every spelling if they are true and false."""
    words: list[str] = words_of(_strings(sorted(allowed))).to_pylist()
    decimals = [decimal for word in words if (decimal := numeral(word)) is not None]
    return _strings(sorted({*words, *_aliases(list(dict.fromkeys(words))), *decimals}))


def _aliases(known: Sequence[str]) -> dict[str, str]:
    """Return other spellings of true and false, where a column knows one of each and nothing else."""
    spelled = [[word for word in known if word in spellings] for spellings in (TRUE, FALSE)]
    if not known or sum(map(len, spelled)) < len(known) or max(map(len, spelled)) > 1:
        return {}
    return {
        alias: words[0]
        for words, spellings in zip(spelled, (TRUE, FALSE), strict=True)
        for alias in spellings
        if words and alias != words[0]
    }


def _strings(words: Sequence[str]) -> pa.StringArray:
    """Return words as an array; without ``pa.array``, which would import pandas."""
    encoded = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def shorten(words: pa.StringArray) -> pa.StringArray:
    """Return words with those of more than LONGEST bytes replaced by their prefix and a checksum of the whole.

    A profile stores values by name, and a column of free text would make it as large as the text.
    """
    lengths = pc.binary_length(words)
    if (pc.max(lengths).as_py() or 0) <= LONGEST:
        return words
    sums = _strings([f"… {checksum:08x}" for checksum in checksums_in(words).tolist()])
    cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(words, 0, _PREFIX), sums, "")
    return pc.if_else(pc.greater(lengths, LONGEST), cut, words)


def examples(items: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return summed counts of the EXAMPLES values with the smallest checksum.

    A value that is among them in the union is among them in every part, so no count is ever partial.
    """
    total: dict[str, int] = {}
    for value, count in items:
        total[value] = total.get(value, 0) + count
    if len(total) > EXAMPLES:
        kept = heapq.nsmallest(EXAMPLES, ((zlib.crc32(value.encode()), value) for value in total))
        return {value: total[value] for _, value in kept}
    return total


@dataclass
class CategoryCounts:
    """Counts of a categorical column, to which more rows are added in place.

    Attributes
    ----------
    counts : (known + 1,)
        Rows of each known category, and last of all other values.
    in_buckets : (buckets,)
        Rows of the other values by the bucket of their hash.
    registers : (REGISTERS,)
        Sketch of all values.
    others, disallowed
        Rows of EXAMPLES values that are not known, and of values that are not allowed.
    disallowed_rows
        Rows of all values that are not allowed.
    """

    counts: Counts
    in_buckets: Counts
    registers: Registers
    others: dict[str, int]
    disallowed: dict[str, int]
    disallowed_rows: int = 0

    @classmethod
    def empty(cls, vocabulary: Vocabulary) -> CategoryCounts:
        """Return the counts of no rows."""
        counts = np.zeros(len(vocabulary.known) + 1, dtype=np.int64)
        return cls(counts, np.zeros(vocabulary.buckets, dtype=np.int64), no_registers(), {}, {})

    def add(self, vocabulary: Vocabulary, words: pa.StringArray, rows: Counts) -> None:
        """Add `rows` (n,) of each of n distinct words; words that are NULL or have no rows are left out."""
        indices = _indices(words, vocabulary.known)
        present = rows > 0
        if words.null_count:
            present &= ~nulls_of(words)
        known = present & (indices >= 0)
        np.add.at(self.counts, indices[known], rows[known])
        add_hashes(self.registers, vocabulary.hashes[indices[known]])
        unknown = np.flatnonzero(present & (indices < 0))
        if unknown.size:
            self._add_others(take(words, unknown), rows[unknown])
        if vocabulary.allowed is not None:
            refused = np.flatnonzero(present & (_indices(words, vocabulary.allowed) < 0))
            self.disallowed_rows += int(rows[refused].sum())
            named = zip(take(words, refused).to_pylist(), rows[refused].tolist(), strict=True)
            self.disallowed = examples([*self.disallowed.items(), *named])

    def _add_others(self, words: pa.StringArray, rows: Counts) -> None:
        checksums = checksums_in(words)
        hashes = hashes_of(checksums)
        self.counts[-1] += int(rows.sum())
        if self.in_buckets.size:
            np.add.at(self.in_buckets, bucket_of(hashes, self.in_buckets.size), rows)
        add_hashes(self.registers, hashes)
        if len(words) > EXAMPLES:  # only those that can be among the smallest become Python strings
            few = np.flatnonzero(checksums <= np.partition(checksums, EXAMPLES - 1)[EXAMPLES - 1])
            words, rows = take(words, few), rows[few]
        self.others = examples([*self.others.items(), *zip(words.to_pylist(), rows.tolist(), strict=True)])


def _indices(words: pa.StringArray, among: pa.StringArray) -> Ints:
    """Return the index of each word in `among`, shape (n,); -1 for words that it lacks."""
    positions = pc.index_in(words, value_set=among)
    end = positions.offset + len(positions)
    indices = np.frombuffer(positions.buffers()[1], dtype=np.int32, count=end)[positions.offset :].astype(np.int64)
    if positions.null_count:
        indices[nulls_of(positions)] = -1
    return indices


def nulls_of(words: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which values are NULL, shape (n,), of an array that has NULLs."""
    validity = np.frombuffer(words.buffers()[0], dtype=np.uint8)
    bits = np.unpackbits(validity, bitorder="little", count=words.offset + len(words))
    return np.asarray(bits[words.offset :] == 0)


def take(words: pa.StringArray, indices: Ints) -> pa.StringArray:
    """Return some of the words; without ``pa.array``, which would import pandas."""
    chosen = pa.Array.from_buffers(pa.int64(), indices.size, [None, pa.py_buffer(np.ascontiguousarray(indices))])
    return words.take(chosen)
