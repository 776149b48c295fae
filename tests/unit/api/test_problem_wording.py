"""Messages about values that do not fit: what a field takes, in words."""

import json

import pytest

from modelmonitor_api.problem_wording import FORMS
from modelmonitor_api.resource import InvalidSpec, parse
from modelmonitor_api.spec import ModelMonitorSpec
from unit.api.specs import spec


def patterns(schema):
    """Yield all patterns of a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for inner in schema.values():
            yield from patterns(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from patterns(inner)


def test_each_pattern_has_words():
    """Users cannot be expected to read regular expressions."""
    assert set(patterns(ModelMonitorSpec.model_json_schema())) <= set(FORMS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sensitivity": {"minimumEffect": "lots"}},
            "spec.sensitivity.minimumEffect: must be a number from 0 to 1 in q",
        ),
        ({"sensitivity": "lots"}, "spec.sensitivity: must be an object with fields, not 'lots'"),
        ({"triggers": ["everyDays"]}, "spec.triggers: must be an object with fields, not a list"),
        ({"triggers": {"everyDays": 1.5}}, "spec.triggers.everyDays: must be a whole number, not 1.5"),
        ({"triggers": {"everyDays": 4000}}, "spec.triggers.everyDays: must be at most 3650, not 4000"),
        ({"schedule": None}, "spec.schedule: must be text, and is empty"),
        ({"detectors": {"name": "a"}}, "spec.detectors: must be a list, not an object with fields"),
        ({"promotion": {}}, "spec.promotion.metric: is required; add it"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_what_a_value_must_be(changes, message, strict):
    data = json.loads(json.dumps(spec())) | changes
    with pytest.raises(InvalidSpec) as error:
        parse(ModelMonitorSpec, data, strict=strict)
    assert str(error.value).startswith(message)
