"""URI templates: every spelling of a day belongs to it, and a listing of its prefixes finds it."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.data.partition_template import PartitionTemplate

TEMPLATES = [
    "s3://b/rows/date=%Y-%m-%d/",
    "s3://b/rows/%Y/%m/%d/",
    "s3://b/year=%Y/month=%m/day=%d/",
    "s3://b/%d.%m.%Y/",
    "s3://b/%Y%m%d/",
    "s3://b/%Y-%m-%d/hour=%H/",
    "s3://b/%Y-%m-%d-%H/part",
    "s3://b/%Y/%Y-%m-%d.parquet",
]
SEPARATED = [uri for uri in TEMPLATES if "%Y%m" not in uri]
DAYS = st.dates(dt.date(1970, 1, 1), dt.date(2100, 12, 31))


@given(st.sampled_from(SEPARATED), DAYS, st.booleans(), st.booleans(), st.integers(0, 23))
def test_leading_zeros_can_be_missing(uri, day, padded_month, padded_day, hour):
    template = PartitionTemplate.parse(uri)
    prefix = template.expand(day, padded_month=padded_month, padded_day=padded_day)
    full = f"{prefix}{hour if padded_day else f'{hour:02d}'}{uri.partition('%H')[2]}" if "%H" in uri else prefix
    location = template.locate(f"{full}x/part.parquet")
    assert location is not None
    assert (location.day, location.matches, location.rest) == (day, True, "x/part.parquet")
    assert location.hour == (hour if "%H" in uri else None)
    month = [day.replace(day=number) for number in range(1, 29)]
    assert any(full.startswith(listed) for listed in template.prefixes([*month, day]))
    assert any(full.startswith(listed) for listed in template.prefixes([day]))


@given(st.sampled_from(TEMPLATES), DAYS)
def test_a_listing_of_a_month_costs_two_requests_at_most(uri, day):
    month = [day.replace(day=number) for number in range(1, 29)]
    listed = PartitionTemplate.parse(uri).prefixes(month)
    assert 1 <= len(listed) <= 2


@pytest.mark.parametrize(
    ("template", "uri", "expected"),
    [
        ("s3://b/%Y%m%d/", "s3://b/20130102/a", True),
        ("s3://b/%Y%m%d/", "s3://b/201312/a", False),
        ("s3://b/%Y-%m-%d/", "s3://b/2013-13-01/a", False),
        ("s3://b/%Y-%m-%d/", "s3://b/2013-02-30/a", False),
        ("s3://b/%Y-%m-%d/", "s3://b/2013-02-3x/a", False),
        ("s3://b/%Y/%Y-%m-%d/", "s3://b/2013/2014-01-01/a", False),
    ],
)
def test_what_is_a_day(template, uri, expected):
    assert (PartitionTemplate.parse(template).locate(uri) is not None) is expected


@pytest.mark.parametrize(
    ("uri", "hour", "matches"),
    [
        ("s3://b/2013-01-02/hour=05/type=a/x", 5, True),
        ("s3://b/2013-01-02/hour=5/type=a/x", 5, True),
        ("s3://b/2013-01-02/hour=05/type=b/x", None, False),
        ("s3://b/2013-01-02/hour=24/type=a/x", None, False),
        ("s3://b/2013-01-02/summary.parquet", None, False),
    ],
)
def test_what_follows_the_hour_must_match(uri, hour, matches):
    location = PartitionTemplate.parse("s3://b/%Y-%m-%d/hour=%H/type=a/").locate(uri)
    assert location is not None
    assert (location.hour, location.matches) == (hour, matches)


def test_a_template_can_begin_with_an_underscore():
    template = PartitionTemplate.parse("s3://b/_rows/_%Y-%m-%d")
    for name, expected in {"": False, ".parquet": False, "/part.parquet": False, "/_SUCCESS": True}.items():
        location = template.locate(f"s3://b/_rows/_2013-01-02{name}")
        assert location is not None
        assert template.is_marker(location) is expected, name
