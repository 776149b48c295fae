"""Numbers in CSV as people write them: decimal commas, marks of thousands, currencies, per cent.

A column of text is a column of numbers if all of its values are numbers in one style. ``12,5 %`` is 0.125.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_trainer.data.arrow_floats import floats_of
from modelmonitor_trainer.data.remarks import COMMA, COMMA_OR_THOUSANDS, GROUPED, POINT, POINT_OR_THOUSANDS
from modelmonitor_trainer.data.text_numbers import missing_in_numbers

#: Values of a block that are tried before all of them are.
_FEW = 100
#: Relative error of the product of two doubles, with room to spare.
_ROUNDING = 1e-12
_CODES = (
    "USD EUR GBP JPY CHF CNY INR CAD AUD SEK NOK DKK PLN CZK HUF BRL MXN ZAR RUB TRY KRW SGD HKD NZD ILS THB AED SAR"
)
#: Names of currencies besides their signs, which Unicode knows.
_CURRENCIES = (*_CODES.split(), "R$", "US$", "kr", "zł", "Kč", "Ft", "Fr.", "Rs", "Rs.", "TL")
_BLANKS = "[\u00a0\u2007\u2009\u202f ]"
_NUMBER = re.compile(r"(?P<prefix>[^0-9.,()+-]*)[-+]?[.,]?[0-9][0-9.,' eE+-]*?(?P<suffix>[^0-9.,()]*)")


@dataclass(frozen=True)
class NumberStyle:
    """A way to write numbers.

    Attributes
    ----------
    decimal, thousands
        Marks; `thousands` is empty if there are none.
    prefix, suffix
        Currency or per cent sign.
    """

    decimal: str = "."
    thousands: str = ""
    prefix: str = ""
    suffix: str = ""

    @property
    def pattern(self) -> str:
        """Pattern of numbers without currency and signs of per cent."""
        point, mark = re.escape(self.decimal), re.escape(self.thousands)
        # In India, thousands are followed by pairs of digits.
        grouped = f"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}|" if mark else ""
        return rf"^[-+]?(?:(?:{grouped}[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][-+]?[0-9]+)?$"

    def described(self) -> Iterator[str]:
        """Yield what is special in this style."""
        if self.decimal == ",":
            yield "a decimal comma"
        if self.thousands:
            yield f"thousands separated by {self.thousands!r}"
        yield from (f"{sign!r}" for sign in (self.prefix, self.suffix) if sign)

    def numbers(self, words: pa.StringArray, nulls: Collection[str]) -> pa.DoubleArray:
        """Return words of this style as numbers; words that mean NULL become it.

        Raises
        ------
        pyarrow.ArrowInvalid
            If a word is of another style.
        """
        bare = self.bare(_clean(words, nulls))
        if self.thousands:
            bare = pc.replace_substring(bare, self.thousands, "")
        if self.decimal != ".":
            bare = pc.replace_substring(bare, self.decimal, ".")
        bare = pc.replace_substring_regex(bare, r"^\+", "")
        if self.suffix == "%":
            # Shifts the exponent, so that the result is the double nearest to the decimal.
            bare = pc.binary_join_element_wise(bare, "e-2", "")
        return pc.cast(bare, pa.float64())

    def fits(self, words: pa.StringArray) -> bool:
        """Whether all words that are not NULL are of this style, with currency and signs of per cent."""
        sign = re.escape(self.prefix or self.suffix)
        if sign and not _all(pc.match_substring_regex(words, sign)):
            return False
        return _all(pc.match_substring_regex(self.bare(words), self.pattern))

    def bare(self, words: pa.StringArray) -> pa.StringArray:
        """Return words without currency and signs of per cent; (1.00) of accountants and 1.00- become -1.00."""
        words = pc.replace_substring_regex(words, r"^\((.+)\)$|^([0-9.,' ]*[0-9]) ?-$", r"-\1\2")
        if self.prefix:
            words = pc.replace_substring_regex(words, rf"^([-+]?) ?{re.escape(self.prefix)} ?", r"\1")
        if self.suffix:
            words = pc.replace_substring_regex(words, rf" ?{re.escape(self.suffix)}$", "")
        return words


@dataclass
class StyleGuess:
    """The styles that all values of a column so far are written in.

    Attributes
    ----------
    decimal
        Decimal mark, if it is known.
    nulls
        Words that mean a missing value.
    declared
        Whether these are declared, so that no others are missing.
    styles
        Styles that are possible; None before the first value.
    missing
        Other words that are missing values if the column is numbers.
    """

    decimal: str | None
    nulls: Collection[str]
    declared: bool = False
    styles: tuple[NumberStyle, ...] | None = None
    missing: set[str] = field(default_factory=set)
    _marks: set[str] = field(default_factory=set)

    def add(self, values: pa.Array) -> None:
        """Leave out the styles that some values are not written in."""
        # The first values show of nearly all columns of text that they are no numbers.
        self._leave_out(_clean(values.slice(0, _FEW), self.nulls).drop_null())
        if self.styles == ():
            return
        words = self._leave_out(_clean(values.unique(), self.nulls).drop_null())
        if self.styles:
            words = self.styles[0].bare(words)
            self._marks |= {mark for mark in ".," if pc.any(pc.match_substring(words, mark)).as_py()}

    def _leave_out(self, words: pa.StringArray) -> pa.StringArray:
        """Leave out the styles that some words are not written in, and return the words that are not missing values."""
        fitting = self._fitting(words)
        if fitting == () and not self.declared:
            # Most columns of numbers have none of these words, so they are not looked for before.
            missing = missing_in_numbers(words)
            self.missing.update(words.filter(missing).unique().to_pylist())
            words = words.filter(pc.invert(missing))
            fitting = self._fitting(words)
        self.styles = fitting
        return words

    def _fitting(self, words: pa.StringArray) -> tuple[NumberStyle, ...] | None:
        styles = self.styles
        if styles is None and len(words):
            styles = tuple(_possible(words[0].as_py(), self.decimal))
        return styles and tuple(style for style in styles if style.fits(words))

    @property
    def remarks(self) -> frozenset[str]:
        """What the marks of the numbers show; nothing without marks."""
        points = {style.decimal == "." for style in self.styles or ()}
        if not points or not self._marks:
            return frozenset()
        if len(points) == 2:
            return frozenset({COMMA_OR_THOUSANDS if "," in self._marks else POINT_OR_THOUSANDS})
        mark, other = (POINT, ",") if True in points else (COMMA, ".")
        return frozenset({mark, GROUPED} if other in self._marks else {mark})

    def style(self, decimal: str) -> NumberStyle | None:
        """Return the style of the column, if possible with a decimal mark; None if it is text."""
        styles = sorted(self.styles or (), key=lambda style: style.decimal != decimal)
        return styles[0] if styles else None

    def all_missing(self) -> frozenset[str]:
        """Return all words that mean a missing value."""
        return frozenset({*self.nulls, *self.missing})


@dataclass
class PointGuess:
    """Whether numbers that were read with decimal points can have points between thousands instead.

    ``1.234`` and ``12.000`` can. Once they are numbers, they look like those that ``1.23`` and ``12`` stand for.
    """

    sure: bool = False
    some: bool = False

    def add(self, values: pa.DoubleArray) -> None:
        """Inspect some values."""
        if self.sure:
            return
        numbers = np.abs(floats_of(values)[0])
        numbers = numbers[np.isfinite(numbers)]
        self.some = self.some or bool(numbers.size)
        thousands = numbers * 1000
        fractions = numbers != np.floor(numbers)
        odd = np.abs(thousands - np.rint(thousands)) > _ROUNDING * thousands
        self.sure = bool((odd | (fractions & ((numbers < 1) | (numbers >= 1000)))).any())


def _possible(word: str, decimal: str | None) -> Iterator[NumberStyle]:
    """Yield the styles that a first value can be written in; with few marks first."""
    match = _NUMBER.fullmatch(re.sub(r"^\((.+)\)$|^([0-9.,' ]*[0-9]) ?-$", r"\1\2", word).lstrip("-+"))
    if match is None:
        return
    prefix, suffix = match["prefix"].strip(), match["suffix"].strip()
    if not _is_currency(prefix) or not (suffix == "%" or _is_currency(suffix)) or (prefix and suffix):
        return
    for point in (decimal,) if decimal else (".", ","):
        for thousands in ("", "," if point == "." else ".", " ", "'"):
            yield NumberStyle(point, thousands, prefix, suffix)


def _is_currency(sign: str) -> bool:
    return not sign or sign in _CURRENCIES or (len(sign) == 1 and unicodedata.category(sign) == "Sc")


def _clean(words: pa.Array, nulls: Collection[str]) -> pa.StringArray:
    """Return words trimmed, with plain blanks and signs; those that mean NULL are it, even if they are quoted."""
    words = pc.utf8_trim_whitespace(pc.cast(words, pa.string()))
    words = pc.replace_substring_regex(pc.replace_substring(words, "\u2212", "-"), _BLANKS, " ")
    return without_nulls(pc.replace_substring(words, "\u2019", "'"), nulls)


def without_nulls(
    words: pa.StringArray, nulls: Collection[str], others: pa.StringArray | None = None
) -> pa.StringArray:
    """Return words, or `others` in their place, NULL for words that mean it."""
    missing = pc.is_in(words, value_set=pa.array(list(nulls), pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), words if others is None else others)


def _all(matches: pa.BooleanArray) -> bool:
    return pc.all(matches, min_count=0).as_py() is not False


def notes_on(styles: Sequence[tuple[str, NumberStyle]]) -> tuple[str, ...]:
    """Return what was recognized in the numbers of some columns."""
    columns: dict[str, list[str]] = {}
    for name, style in styles:
        what = ", ".join(style.described())
        if what:
            columns.setdefault(what, []).append(name)
    return tuple(
        f"{', '.join(names[:5])}{' and others' if len(names) > 5 else ''} are numbers with {what}"
        for what, names in columns.items()
    )
