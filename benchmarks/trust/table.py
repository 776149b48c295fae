"""The table: measured rates with their intervals, the bars, and whether they are met."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import oracle
from cells import Cell
from peers import RULES
from scipy import stats

#: Largest share of NoDrift where a column has changed by detectableEffect.
SILENCE = 0.05


@dataclass(frozen=True)
class Measured:
    """A cell and its counts.

    Attributes
    ----------
    cell
        Data, amount and bar.
    counts
        "sets" and "ours" (alarms), "peer sets" and each peer's rule, and alarms by column.
    level
        False-alarm budget of one check.
    """

    cell: Cell
    counts: Counter[str]
    level: float

    @property
    def share(self) -> float:
        """Share of data sets in which the product's rule alarms."""
        return self.counts["ours"] / self.counts["sets"]

    @property
    def quiet(self) -> float:
        """Share of the unchanged columns for which drift was ruled out."""
        return self.counts["quiet"] / max(1, self.counts["unchanged"])

    @property
    def oracle(self) -> str:
        """The same share for an oracle that knows how much days vary, as text."""
        return f"{self.counts['oracle'] / max(1, self.counts['unchanged']):.2f}" if oracle.knows(self.cell) else "–"

    def interval(self) -> tuple[float, float]:
        """Return the 95 % Clopper-Pearson interval of the share."""
        interval = stats.binomtest(self.counts["ours"], self.counts["sets"]).proportion_ci(0.95, "exact")
        return float(interval.low), float(interval.high)

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None if there is none."""
        low, high = self.interval()
        if self.cell.silence:
            return low <= SILENCE
        if self.cell.drift is None:
            return low <= self.level
        return None if self.cell.at_least is None else high >= self.cell.at_least and self.share >= self.cell.at_least

    def sentence(self) -> str:
        """Return one line for the progress output."""
        low, high = self.interval()
        worst = ", ".join(f"{name[7:]} {n}" for name, n in self.counts.most_common() if name.startswith("column "))
        quiet = f"NoDrift in {self.quiet:.2f} of the unchanged columns"
        quiet += f" (oracle {self.oracle})"
        return f"{self.cell.key}: {self.share:.3f} ({low:.3f} to {high:.3f}) {_word(self.met)} {quiet} {worst[:200]}"


def passed(measured: Sequence[Measured]) -> bool:
    """Return whether all bars are met."""
    return all(one.met is not False for one in measured)


def markdown(measured: Sequence[Measured], level: float) -> str:
    """Return the page."""
    quiet = [one for one in measured if one.cell.drift is None]
    moved = [one for one in measured if one.cell.drift is not None and not one.cell.silence]
    silent = [one for one in measured if one.cell.silence]
    return "\n".join(
        [
            "# How far a check can be trusted",
            "",
            "This page is written by `make bench-trust`. Each figure is the share of simulated data sets of 20 columns",
            "(with fixed seeds) on which a check reports drift, with its 95 % interval (Clopper-Pearson) in brackets.",
            "ModelMonitor runs with its default sensitivity: one false alarm in 90 days at one check a day, so a level",
            f"of {level:.4f} for each check. The other tools' rules are their documented defaults, reimplemented in",
            "`benchmarks/trust/peers.py`. They run on fewer data sets, and any flagged column counts as an alarm.",
            "",
            '"unchanged NoDrift" is the share of the columns without a change that are called `NoDrift`; the rest is',
            "`Inconclusive`. The oracle makes the same claim, but takes from the generator how much days vary, so its",
            "share is what the data allow.",
            "",
            *_summary(quiet, silent),
            "",
            "## False alarms: nothing has changed",
            "",
            "PASS means that the false-alarm budget is not exceeded by more than chance explains.",
            "",
            *_table(quiet),
            "",
            "## Power: one column of twenty has changed",
            "",
            "For ModelMonitor, a data set counts if the changed column itself is detected, adjusted for all twenty.",
            "For the other tools any alarm counts, so a rule that always raises an alarm reaches 1.",
            "",
            *_table(moved),
            "",
            "## Silence: one column of twenty has moved by detectableEffect (0.15)",
            "",
            "Each figure is the share of data sets in which this column is called `NoDrift`, which must be at most",
            "5 %, beyond what chance explains.",
            "",
            *_silence_table(silent),
            "",
            "## What these guarantees cost",
            "",
            "- If a column has more than the 1,000 values that are counted by name, the rarest of these are counted",
            "  together with all others in 128 hash buckets. A change among them is detected only if it changes the",
            "  buckets, and to rule it out takes many rows: such columns are often `Inconclusive` (`RareValues`).",
            "- If neighbouring days are alike, limits are raised according to the variogram of the reference. A season",
            "  that is slower than the reference is long cannot be distinguished from drift.",
            "- Two files without dates do not show how much files vary, so little variation is assumed. Where they",
            "  vary as days with an effect of 0.3 standard deviations, a column that had moved was called `NoDrift` in",
            "  9 % of 200 data sets. Files of days are better evidence.",
            "- With few days in the reference only large changes are drift, and with one day on each side hardly any.",
            "",
        ]
    )


def _summary(quiet: Sequence[Measured], silent: Sequence[Measured]) -> list[str]:
    """Return a paragraph that can be quoted."""
    sets, alarms = (sum(one.counts[name] for one in quiet) for name in ("sets", "ours"))
    moved, missed = (sum(one.counts[name] for one in silent) for name in ("sets", "ours"))
    worst = max(one.share for one in silent) if silent else 0.0
    compared = [one for one in quiet if one.counts["peer sets"]]
    peer_sets = sum(one.counts["peer sets"] for one in compared)
    peers = ", ".join(
        f"{rule} in {sum(one.counts[rule] for one in compared) / max(1, peer_sets):.0%}" for rule in RULES
    )
    sentences = [
        f"**In short.** In {sets:,} simulated checks of 20 columns in which nothing had changed, ModelMonitor raised",
        f"{alarms} alarms ({alarms / max(1, sets):.2%}). In {moved:,} checks in which one column had moved by 0.15,",
        f"it said that this column had not in {missed} ({missed / max(1, moved):.2%}; {worst:.1%} in the worst kind of",
        f"data). On {peer_sets:,} of the former, the default rules of other tools raised an alarm: {peers}.",
        "ModelMonitor pays for that with the answer `Inconclusive`, which names what is missing, wherever the data do",
        "not allow another one.",
    ]
    return textwrap.wrap(" ".join(sentences).replace("%", " %"), 110)


def _table(rows: Sequence[Measured]) -> list[str]:
    lines = [
        (
            "| columns | rows | days | change | sets | ModelMonitor | bar | unchanged NoDrift | oracle | "
            f"{' | '.join(RULES)} |"
        ),
        f"|---|---|---|---|---|---|---|---|---|{'---|' * len(RULES)}",
    ]
    for one in rows:
        cell = one.cell
        low, high = one.interval()
        others = " | ".join(_peer(one, rule) for rule in RULES)
        lines.append(
            f"| {cell.kind} | {cell.rows:,}{' a day' if cell.days else ''} | {_days(cell)} | "
            f"{cell.drift.title if cell.drift else 'none'} | {one.counts['sets']} | "
            f"{one.share:.3f} ({low:.3f} to {high:.3f}) | {_bar(one)} | {one.quiet:.2f} | {one.oracle} | {others} |"
        )
    return lines


def _silence_table(rows: Sequence[Measured]) -> list[str]:
    lines = [
        "| columns | rows | days | change | sets | called NoDrift | bar | unchanged NoDrift | oracle |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        cell = one.cell
        low, high = one.interval()
        lines.append(
            f"| {cell.kind} | {cell.rows:,}{' a day' if cell.days else ''} | {_days(cell)} | "
            f"{cell.drift.title if cell.drift else 'none'} | {one.counts['sets']} | "
            f"{one.share:.3f} ({low:.3f} to {high:.3f}) | {_bar(one)} | {one.quiet:.2f} | {one.oracle} |"
        )
    return lines


def _days(cell: Cell) -> str:
    if cell.days is None:
        return "independent rows"
    days = cell.days
    slow = f", neighbours correlated {days.memory:g}" if days.memory else ""
    heavy = " with heavy tails" if days.heavy else ""
    weekly = f", weekends {days.weekly:g} sd higher" if days.weekly else ""
    trend = f", trend of {days.trend:g} sd a day" if days.trend else ""
    jump = f", jump of {days.jump:g} sd within the reference" if days.jump else ""
    odd = f", {days.odd} odd days in the reference" if days.odd else ""
    kind = f"{heavy}{slow}{weekly}{trend}{jump}{odd}"
    return f"{days.current} after {days.reference}, day effect {days.deviation:g} sd{kind}"


def _bar(one: Measured) -> str:
    if one.met is None:
        return "–"
    if one.cell.silence:
        return f"≤ {SILENCE:g} {_word(one.met)}"
    required = f"≤ {one.level:.4f}" if one.cell.drift is None else f"≥ {one.cell.at_least:g}"
    return f"{required} {_word(one.met)}"


def _word(met: bool | None) -> str:
    return {True: "PASS", False: "**FAIL**", None: ""}[met]


def _peer(one: Measured, rule: str) -> str:
    sets = one.counts["peer sets"]
    return f"{one.counts[rule] / sets:.2f}" if sets else "–"
