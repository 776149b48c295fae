"""A listing answers as a store over the same objects does."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_trainer.replay.listing import Listing
from modelmonitor_trainer.storage.base import ObjectInfo

TIME = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
paths = st.lists(st.text("ab/_.", min_size=1, max_size=6), max_size=12).map(
    lambda names: [f"s3://b/{name.strip('/') or 'a'}" for name in names]
)


def info(uri):
    return ObjectInfo(uri, "etag", 1, TIME)


@given(paths, st.text("ab/", max_size=3))
def test_as_a_store_would(uris, rest):
    prefix = f"s3://b/{rest}"
    listing = Listing.of(map(info, uris))
    expected = sorted({uri for uri in uris if uri.startswith(prefix)})
    assert [found.uri for found in listing.below(prefix)] == expected
    children = {uri if "/" not in uri[len(prefix) :] else uri[: uri.index("/", len(prefix)) + 1] for uri in expected}
    assert listing.children(prefix, lambda _: True) == sorted(children)
    for uri in uris:
        assert listing.find(uri) == info(uri)
    assert listing.find("s3://b/nowhere") is None


def test_a_folder_without_a_visible_object_is_not_there():
    listing = Listing.of(map(info, ["s3://b/x/1", "s3://b/x/2", "s3://b/y/1"]))
    assert listing.children("s3://b/", lambda found: found.uri.endswith("x/2")) == ["s3://b/x/"]
