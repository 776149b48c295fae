"""Messages as sentences."""

import pytest

from modelmonitor_trainer.text import as_sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no labels have arrived", "No labels have arrived."),
        ("R² is 0.5.", "R² is 0.5."),
        ("the champion changed. Run it again", "The champion changed. Run it again."),
        ("", "."),
        ("s3://b/k has no column", "s3://b/k has no column."),
    ],
)
def test_a_message_becomes_a_sentence(text, expected):
    assert as_sentence(text) == expected
