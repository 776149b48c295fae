"""Findings: what is wrong, how it shows, and the command that fixes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelmonitor_trainer.cluster.page import Block, Row, Tone


class Severity(StrEnum):
    """How much a finding matters."""

    PROBLEM = "Problem"
    WARNING = "Warning"
    UNKNOWN = "Unknown"
    FINE = "Fine"


@dataclass(frozen=True)
class Finding:
    """One result of a diagnosis.

    Attributes
    ----------
    severity
        How much it matters.
    subject
        What was examined, such as the Secret.
    message
        What was found, in a sentence.
    fix
        A command, or what to do; empty if nothing is to be done.
    """

    severity: Severity
    subject: str
    message: str
    fix: str = ""


def problem(subject: str, message: str, fix: str = "") -> Finding:
    """Return a finding that keeps the monitor from working."""
    return Finding(Severity.PROBLEM, subject, message, fix)


def warning(subject: str, message: str, fix: str = "") -> Finding:
    """Return a finding that may be intended."""
    return Finding(Severity.WARNING, subject, message, fix)


def unknown(subject: str, message: str, fix: str = "") -> Finding:
    """Return a finding about what could not be examined."""
    return Finding(Severity.UNKNOWN, subject, message, fix)


def fine(subject: str, message: str) -> Finding:
    """Return a finding about what is as it should be."""
    return Finding(Severity.FINE, subject, message)


_MARKS = {
    Severity.PROBLEM: ("✗", Tone.BAD),
    Severity.WARNING: ("!", Tone.UNSURE),
    Severity.UNKNOWN: ("?", Tone.UNSURE),
    Severity.FINE: ("✓", Tone.GOOD),
}


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Return whether there is no problem."""
    return all(finding.severity is not Severity.PROBLEM for finding in findings)


def finding_blocks(name: str, findings: Sequence[Finding]) -> tuple[Block, ...]:
    """Return the page of ``kubectl mmon doctor``: problems first."""
    counts = {severity: sum(f.severity is severity for f in findings) for severity in Severity}
    words = {Severity.PROBLEM: "problem", Severity.WARNING: "warning"}
    parts = [f"{counts[s]} {word}{'' if counts[s] == 1 else 's'}" for s, word in words.items() if counts[s]]
    parts += [f"{counts[Severity.UNKNOWN]} not examined"] if counts[Severity.UNKNOWN] else []
    parts += [f"{counts[Severity.FINE]} fine"]
    ordered = [finding for severity in Severity for finding in findings if finding.severity is severity]
    rows: list[Row] = []
    for finding in ordered:
        mark, tone = _MARKS[finding.severity]
        rows.append(Row(mark, finding.message, f"{finding.subject}:", tone))
        if finding.fix:
            rows.append(Row("", f"→ {finding.fix}", tone=Tone.BOLD, wrap=False))
    return (Block(f"{name}: {', '.join(parts)}", tuple(rows)),)


def finding_document(name: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as JSON data, for scripts."""
    return {
        "monitor": name,
        "healthy": is_healthy(findings),
        "findings": [
            {"severity": f.severity.value, "subject": f.subject, "message": f.message, "fix": f.fix} for f in findings
        ],
    }
