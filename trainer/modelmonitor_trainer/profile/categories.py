"""Words of categorical columns: which cell they are counted in, which bucket, and how many there are.

A word without a cell of its own is counted in the bucket of its hash, so that a move among rare values is seen; the
hash is the same on every machine. How many words there are is estimated from the longest run of zeros in hashes, whose
merging is a maximum and so exact:

    P. Flajolet, É. Fusy, O. Gandouet, F. Meunier, HyperLogLog, 2007; the estimator is that of
    O. Ertl, New cardinality estimation algorithms for HyperLogLog sketches, 2017, algorithm 6.
"""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.arrays import Counts, Ints
from modelmonitor_trainer.profile import kernel

Hashes = npt.NDArray[np.uint64]
Registers = npt.NDArray[np.uint8]

#: How writers spell the same two values.
_TRUE, _FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
#: Bytes of a word that is kept as it is, and characters that are kept of a longer one.
LONGEST, _BEGINNING = 256, 60
#: How many of the values outside the cells are kept by name.
EXAMPLES = 32
#: Buckets of words without a cell, in a column that has more words than cells.
BUCKETS = 128
#: Registers of a sketch: its standard error is 1.04 / sqrt(REGISTERS), three per cent.
_BITS = 10
REGISTERS = 1 << _BITS
SKETCH_ERROR = 1.04 / REGISTERS**0.5


@dataclass(frozen=True)
class Vocabulary:
    """The words that a column's plan knows; threads may share it.

    Attributes
    ----------
    known, allowed
        Words with a cell, in the order of the cells; words that the contract allows, None is all.
    aliases
        Other spellings of the known words: of columns that say true and false.
    hashes : (known,)
        Of the words with a cell.
    buckets
        How many buckets there are for other words; 0 is none.
    """

    known: pa.StringArray
    allowed: pa.StringArray | None
    hashes: Hashes
    buckets: int = 0
    aliases: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, known: Sequence[str], allowed: Iterable[str] | None = None, buckets: int = 0) -> Vocabulary:
        """Return the vocabulary of some words."""
        named = None if allowed is None else shortened(_strings(sorted(allowed)))
        return cls(_strings(known), named, hashes_of(checksums_of(known)), buckets, _aliases(known))

    def in_its_words(self, words: pa.StringArray) -> pa.StringArray:
        """Return words with other spellings of the known ones as these."""
        if not self.aliases:
            return words
        found = pc.index_in(words, value_set=_strings([*self.aliases]))
        return pc.coalesce(_strings([*self.aliases.values()]).take(found), words)


def _aliases(known: Sequence[str]) -> dict[str, str]:
    """Return other spellings of true and false, where a column knows one of each and nothing else."""
    spelled = [[word for word in known if word in spellings] for spellings in (_TRUE, _FALSE)]
    if not known or sum(map(len, spelled)) < len(known) or max(map(len, spelled)) > 1:
        return {}
    return {
        alias: words[0]
        for words, spellings in zip(spelled, (_TRUE, _FALSE), strict=True)
        for alias in spellings
        if words and alias != words[0]
    }


def _strings(words: Sequence[str]) -> pa.StringArray:
    """Return words as an array; without ``pa.array``, which would import pandas."""
    encoded = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def shortened(words: pa.StringArray) -> pa.StringArray:
    """Return words with those of more than LONGEST bytes cut to their beginning and a checksum of the whole.

    A profile holds words by name, and a column of texts would make it as large as the texts.
    """
    lengths = pc.binary_length(words)
    if (pc.max(lengths).as_py() or 0) <= LONGEST:
        return words
    sums = _strings([f"… {checksum:08x}" for checksum in checksums_in(words).tolist()])
    cut = pc.binary_join_element_wise(pc.utf8_slice_codeunits(words, 0, _BEGINNING), sums, "")
    return pc.if_else(pc.greater(lengths, LONGEST), cut, words)


def no_registers() -> Registers:
    """Return the sketch of no words."""
    return np.zeros(REGISTERS, dtype=np.uint8)


def checksums_of(words: Sequence[str]) -> Hashes:
    """Return the CRC-32 of each word, shape (n,)."""
    return np.fromiter((zlib.crc32(word.encode()) for word in words), dtype=np.uint64, count=len(words))


def checksums_in(words: pa.StringArray) -> Hashes:
    """Return the CRC-32 of each word of an array, shape (n,)."""
    return kernel.checksums(words) if kernel.compiled() else checksums_of([word or "" for word in words.to_pylist()])


def hashes_of(checksums: Hashes) -> Hashes:
    """Return a hash of each word from its checksum, shape (n,), whose bits are all alike random.

    The 32 bits are mixed by D. Stafford's variant 13 of MurmurHash3's finalizer (2011): of ten million words one
    in a thousand shares its hash with another.
    """
    found = checksums + np.uint64(0x9E3779B97F4A7C15)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = found ^ (found >> np.uint64(31))
    return mixed


def bucket_of(hashes: Hashes, buckets: int) -> Ints:
    """Return the bucket of each word, shape (n,)."""
    # From the middle: the first bits choose a register and the last ones the examples.
    return ((hashes >> np.uint64(16)) % np.uint64(buckets)).astype(np.int64)


def note(registers: Registers, hashes: Hashes) -> None:
    """Add words to a sketch, in place: the longest run of zeros in each register, plus one."""
    places = (hashes >> np.uint64(64 - _BITS)).astype(np.int64)
    # The 52 bits after those, of which a float is exact.
    rest = (hashes >> np.uint64(2)) & np.uint64((1 << 52) - 1)
    zeros = 52 - np.frexp(rest.astype(np.float64))[1]
    np.maximum.at(registers, places, (zeros + 1).astype(np.uint8))


def distinct(registers: Registers) -> int:
    """Return about how many words a sketch has seen."""
    longest = 52 + 2
    counts = np.bincount(registers, minlength=longest)
    found = REGISTERS * _tau(1 - counts[longest - 1] / REGISTERS)
    for zeros in range(longest - 2, 0, -1):
        found = (found + counts[zeros]) / 2
    found += REGISTERS * _sigma(counts[0] / REGISTERS)
    return round(REGISTERS * REGISTERS / (2 * math.log(2) * found)) if math.isfinite(found) else 0


def _sigma(share: float) -> float:
    if share == 1:
        return math.inf
    power, weight, found, before = share, 1.0, share, -1.0
    while found != before:
        power, before = power * power, found
        found += power * weight
        weight += weight
    return found


def _tau(share: float) -> float:
    if share in {0, 1}:
        return 0.0
    root, weight, found, before = share, 1.0, 1 - share, -1.0
    while found != before:
        root, before, weight = math.sqrt(root), found, weight / 2
        found -= (1 - root) ** 2 * weight
    return found / 3


def examples(items: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return summed counts of the EXAMPLES values with the smallest checksum.

    A value among them in the union is among them in every part, so no count is ever partial.
    """
    total: dict[str, int] = {}
    for value, count in items:
        total[value] = total.get(value, 0) + count
    if len(total) > EXAMPLES:
        kept = heapq.nsmallest(EXAMPLES, ((zlib.crc32(value.encode()), value) for value in total))
        return {value: total[value] for _, value in kept}
    return total


@dataclass
class WordCounts:
    """What has been counted of a column's words, to which more is added in place.

    Attributes
    ----------
    counts : (known + 1,)
        Rows of each known word, and last of all others.
    in_buckets : (buckets,)
        Rows of the others by the bucket of their hash.
    registers : (REGISTERS,)
        Sketch of all words.
    others, disallowed
        Rows of EXAMPLES words without a cell, and of words that are not allowed.
    disallowed_rows
        Rows of all words that are not allowed.
    """

    counts: Counts
    in_buckets: Counts
    registers: Registers
    others: dict[str, int]
    disallowed: dict[str, int]
    disallowed_rows: int = 0

    @classmethod
    def none(cls, of: Vocabulary) -> WordCounts:
        """Return the counts of no rows."""
        counts = np.zeros(len(of.known) + 1, dtype=np.int64)
        return cls(counts, np.zeros(of.buckets, dtype=np.int64), no_registers(), {}, {})

    def add(self, of: Vocabulary, words: pa.StringArray, rows: Counts) -> None:
        """Add `rows` (n,) of each of n words; words that are NULL, or have no rows, are left out."""
        places = _places(words, of.known)
        there = rows > 0
        if words.null_count:
            there &= ~nulls_of(words)
        known = there & (places >= 0)
        np.add.at(self.counts, places[known], rows[known])
        note(self.registers, of.hashes[places[known]])
        strange = np.flatnonzero(there & (places < 0))
        if strange.size:
            self._add_others(_taken(words, strange), rows[strange])
        if of.allowed is not None:
            refused = np.flatnonzero(there & (_places(words, of.allowed) < 0))
            self.disallowed_rows += int(rows[refused].sum())
            named = zip(_taken(words, refused).to_pylist(), rows[refused].tolist(), strict=True)
            self.disallowed = examples([*self.disallowed.items(), *named])

    def _add_others(self, words: pa.StringArray, rows: Counts) -> None:
        checksums = checksums_in(words)
        hashes = hashes_of(checksums)
        self.counts[-1] += int(rows.sum())
        if self.in_buckets.size:
            np.add.at(self.in_buckets, bucket_of(hashes, self.in_buckets.size), rows)
        note(self.registers, hashes)
        if len(words) > EXAMPLES:  # what is sure not to be among the smallest need not be looked at one by one
            few = np.flatnonzero(checksums <= np.partition(checksums, EXAMPLES - 1)[EXAMPLES - 1])
            words, rows = _taken(words, few), rows[few]
        self.others = examples([*self.others.items(), *zip(words.to_pylist(), rows.tolist(), strict=True)])


def _places(words: pa.StringArray, among: pa.StringArray) -> Ints:
    """Return the place of each word among others, shape (n,); -1 for words that are not there."""
    found = pc.index_in(words, value_set=among)
    end = found.offset + len(found)
    places = np.frombuffer(found.buffers()[1], dtype=np.int32, count=end)[found.offset :].astype(np.int64)
    if found.null_count:
        places[nulls_of(found)] = -1
    return places


def nulls_of(words: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which values are NULL, shape (n,); some are."""
    validity = np.frombuffer(words.buffers()[0], dtype=np.uint8)
    bits = np.unpackbits(validity, bitorder="little", count=words.offset + len(words))
    return np.asarray(bits[words.offset :] == 0)


def _taken(words: pa.StringArray, places: Ints) -> pa.StringArray:
    """Return some of the words; without ``pa.array``, which would import pandas."""
    indices = pa.Array.from_buffers(pa.int64(), places.size, [None, pa.py_buffer(np.ascontiguousarray(places))])
    return words.take(indices)
