"""Classes of a target, and outcomes that are spelled differently from the classes of a model.

A class is text. Whole numbers of any type are written without a fraction, false and true as 0 and 1, and text without
surrounding blanks. An outcome that is no class of the model as it is written is one if the two differ in capitals, in
".0", or as the words of a yes-no question do (``true``, ``yes`` and ``1``), unless that leaves a choice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import Task
from modelmonitor_trainer.arrays import Ints
from modelmonitor_trainer.data.arrow_types import is_text
from modelmonitor_trainer.data.canonical import composed
from modelmonitor_trainer.data.model_arrays import texts
from modelmonitor_trainer.data.truth_words import FALSE, TRUE
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.text import listed

#: Words for the two outcomes of a yes-no question.
_YES_NO = dict.fromkeys(map(str.casefold, FALSE), "0") | dict.fromkeys(map(str.casefold, TRUE), "1")
_WHOLE = re.compile(r"^\+?(-?\d+)\.0*$")
#: A share of outcomes of a yes-no question above this one that are neither of the two classes is not left out.
STRAY_SHARE = 0.01
_SHOWN = 4
_LENGTH = 40


def class_texts(target: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return the class of each row as text; NULL for a missing value, NaN and empty text.

    Raises
    ------
    BadData
        If the type has no classes.
    """
    kind = target.type
    if pa.types.is_dictionary(kind):
        target, kind = target.cast(kind.value_type), kind.value_type
    if pa.types.is_boolean(kind):
        return target.cast(pa.int8()).cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        try:
            target, kind = target.cast(pa.string()), pa.string()
        except pa.ArrowInvalid:
            raise BadData(
                f"the target {name!r} is {kind} and not text; write the outcome as text or as a number"
            ) from None
    if is_text(kind):
        words = [composed(pc.utf8_trim_whitespace(chunk)) for chunk in target.cast(pa.string()).chunks]
        trimmed = pa.chunked_array(words, pa.string())
        return pc.if_else(pc.equal(pc.binary_length(trimmed), 0), pa.scalar(None, pa.string()), trimmed)
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return target.cast(pa.string())
    if pa.types.is_floating(kind):
        return _float_texts(target)
    if pa.types.is_decimal(kind) and kind.scale >= 0:
        return pc.replace_substring_regex(target.cast(pa.string()), r"\.0*$|(\.\d*[1-9])0+$", r"\1")
    return pa.chunked_array([pa.array(texts(target, f"{name} (target)"), pa.string())])


def _float_texts(target: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return floats as their shortest decimal: 0.1 is 0.1 as float32, too."""
    values = target.to_numpy(zero_copy_only=False)
    distinct, codes = np.unique(values, return_inverse=True)
    names = [None if not np.isfinite(v) else str(int(v)) if v == int(v) else str(v) for v in distinct]
    return pa.chunked_array([pa.array(names, pa.string()).take(pa.array(codes.reshape(-1)))])


def class_names(target: pa.ChunkedArray, name: str) -> list[str]:
    """Return the classes of a target, numbers in numeric order.

    Spellings of the same number are one class, and so are those of the outcomes of a yes-no question.
    """
    return merge_names(value for value in pc.unique(class_texts(target, name)).to_pylist() if value is not None)


def merge_names(names: Iterable[str]) -> list[str]:
    """Return classes in order, each in one of its spellings: a number if there is one.

    >>> merge_names(["true", "0", "1", "false"]), merge_names(["no", "yes"]), merge_names(["A", "a", "1.0", "1"])
    (['0', '1'], ['no', 'yes'], ['1', 'A', 'a'])
    """
    distinct = sorted(set(names), key=lambda text: (not _is_number(text), len(text), text))
    # Capitals can distinguish classes, such as those of letters.
    normal = _yes_no(distinct) or {text: _WHOLE.sub(r"\1", text) for text in distinct}
    spellings: dict[str, str] = {}
    for text in distinct:
        spellings.setdefault(normal[text], text)
    merged = list(spellings.values())
    if _yes_no(merged):
        return sorted(merged, key=lambda text: normal[text])
    return sorted(merged, key=float) if all(map(_is_number, merged)) else sorted(merged)


@dataclass(frozen=True)
class Spellings:
    """Finds the class of a model that an outcome stands for.

    Attributes
    ----------
    classes
        Classes of the model.
    """

    classes: Sequence[str]

    def index_of(self, text: str) -> int:
        """Return the index of the class of an outcome, -1 if it is none of them."""
        classes = list(self.classes)
        if text in classes:
            return classes.index(text)
        yes_no = _yes_no(classes)
        if yes_no:
            word = _YES_NO.get(_fold(text))
            matches = [index for index, name in enumerate(classes) if yes_no[name] == word]
        else:
            matches = [index for index, name in enumerate(classes) if _fold(name) == _fold(text)]
        return matches[0] if len(matches) == 1 else -1


def class_counts(target: pa.ChunkedArray, name: str) -> dict[str, int]:
    """Return the number of rows of each class as it is written."""
    counted = pc.value_counts(class_texts(target, name).combine_chunks())
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return {text: rows for text, rows in pairs if text is not None}


def with_new_classes(known: Sequence[str], target: pa.ChunkedArray, name: str) -> tuple[str, ...]:
    """Return classes followed by those of a target that are none of them, which a model cannot predict."""
    spellings = Spellings(known)
    return (*known, *(text for text in class_names(target, name) if spellings.index_of(text) < 0))


def class_indices(target: pa.ChunkedArray, name: str, classes: Sequence[str]) -> Ints:
    """Return the index of each row's class in `classes`, -1 for any other; (n,)."""
    coded = class_texts(target, name).combine_chunks().dictionary_encode()
    spellings = Spellings(classes)
    class_of_code = np.array([*(spellings.index_of(text) for text in coded.dictionary.to_pylist()), -1], dtype=np.int64)
    codes: Ints = coded.indices.fill_null(len(class_of_code) - 1).to_numpy(zero_copy_only=False)
    return class_of_code[codes]


def unknown_outcomes(target: pa.ChunkedArray, name: str, classes: Sequence[str]) -> Counter[str]:
    """Return the outcomes that are no class, and the number of rows of each."""
    coded = class_texts(target, name).combine_chunks()
    spellings = Spellings(classes)
    counted = zip(*(pc.value_counts(coded).field(part).to_pylist() for part in ("values", "counts")), strict=True)
    return Counter({text: rows for text, rows in counted if text is not None and spellings.index_of(text) < 0})


def require_known(unknown: Mapping[str, int], rows: int, name: str, classes: Sequence[str], task: Task) -> None:
    """Raise an error if so many outcomes are no classes that the others would give a wrong picture.

    Parameters
    ----------
    unknown
        From :func:`unknown_outcomes`.
    rows
        Labelled rows, with those of unknown outcomes.
    name, classes, task
        The target, and the classes and the task of the model.

    Raises
    ------
    BadData
        Naming both spellings. With several classes, new ones are normal unless all are new.
    """
    count = sum(unknown.values())
    if not count or count <= (STRAY_SHARE * rows if task is Task.BINARY_CLASSIFICATION else rows - 1):
        return
    raise BadData(
        f"the target {name!r} is {in_words(unknown)} in {count:,} of {rows:,} labelled rows, and the classes of the "
        f"model are {in_words(classes)}; write the labels with the spelling of these classes, or leave such rows out"
    )


def stray_note(unknown: Mapping[str, int], classes: Sequence[str], task: Task) -> str:
    """Return what happens to rows of unknown outcomes, as the end of a sentence; empty if there are none.

    A model with several classes is wrong on each row of a new one. The metrics of two classes do not have a third.
    """
    count = sum(unknown.values())
    if not count:
        return ""
    if task is Task.MULTICLASS_CLASSIFICATION:
        return (
            f"; {count:,} rows count as errors, because their outcome ({in_words(unknown)}) is none of "
            f"{in_words(classes)}"
        )
    return f"; {count:,} rows are left out, because their outcome ({in_words(unknown)}) is none of {in_words(classes)}"


def in_words(names: Iterable[str]) -> str:
    """Return some of the names of classes for a sentence.

    >>> in_words(["a"]), in_words(["0", "1"]), in_words("abcdef")
    ("'a'", "'0' and '1'", "'a', 'b', 'c', 'd' and 2 more")
    """
    quoted = [repr(name[:_LENGTH]) for name in names]
    if len(quoted) > _SHOWN:
        return listed(quoted, _SHOWN)
    return " and ".join([*([", ".join(quoted[:-1])] if len(quoted) > 1 else []), *quoted[-1:]])


def check_binary(classes: Sequence[str], name: str) -> None:
    """Raise an error for a binary target with more than two values.

    Raises
    ------
    BadData
        Naming some of them.
    """
    if len(classes) > 2:
        shown = ", ".join(repr(value) for value in classes[:5]) + ("…" if len(classes) > 5 else "")
        raise BadData(
            f"the target {name!r} has {len(classes)} values ({shown}) and model.task is "
            f"{Task.BINARY_CLASSIFICATION}; make it true/false, or set model.task to {Task.MULTICLASS_CLASSIFICATION}"
        )


def is_yes_no(names: Iterable[str]) -> bool:
    """Whether classes are spellings of no and yes: 0 and 1, false and true."""
    return bool(_yes_no(list(names)))


def _yes_no(names: Sequence[str]) -> dict[str, str]:
    """Return classes as 0 and 1; nothing if one of them is neither."""
    words = {name: _YES_NO.get(_fold(name), "") for name in names}
    return words if all(words.values()) else {}


def _fold(text: str) -> str:
    return _WHOLE.sub(r"\1", text.strip()).casefold()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
