"""Layout of the results: it names every object that a monitor writes, and no other module builds such names."""

import re
from pathlib import Path

import modelmonitor_trainer
from modelmonitor_trainer.registry.layout import CheckLayout, ResultsLayout, RunLayout
from unit.train.test_watch import check

#: Path segments below the results prefix, in a string.
_SEGMENTS = re.compile(
    r"""["}/](champion\.json|versions/|version\.json|wanted\.json|deleting\.json|watch/|runs/|checks/|profiles/"""
    r"""|compared-with\.json|tenures/|decisions\.json|damaged/|probes/)"""
)


def _uris(layout, world):
    """Return every URI of the layout, for the versions, trainings, checks and looks that exist."""
    store, uid = world.store, world.monitor.uid
    yield layout.champion
    for number, tenure in enumerate(reversed(world.champion().history), start=1):
        yield layout.tenure(number, tenure.version)
    for record in world.registry.versions():
        version = layout.version(record.version)
        yield from (version.record, *(version.file(stored.name) for stored in record.files))
        yield from (version.reservation, version.deletion)
        for look in store.list(layout.watches(record.version)):
            match = re.fullmatch(r"(\d+)-(\w+)\.json", look.uri.rpartition("/")[2])
            assert match, look.uri
            yield layout.watch(record.version, int(match[1]), match[2])
    for folder in store.children(layout.runs(uid)):
        run = RunLayout(folder)
        assert run == layout.run(uid, int(Path(folder).name))
        yield from (run.request, run.manifest, run.champion, run.report, run.verdict)
    for folder in store.children(layout.checks(uid)):
        checked = CheckLayout(folder)
        assert checked == layout.check(uid, checked.due, checked.job)
        yield from (checked.report, checked.verdict)


def test_every_object_that_a_monitor_writes_is_in_the_layout(world):
    layout = ResultsLayout.of(world.parsed(), world.monitor)
    assert layout.root == world.prefix
    world.train(1)
    world.land(19, 34, slope=-2.0)
    world.train(2)
    world.land(33, 38, slope=2.0)
    check(world)
    world.handle_rollback()
    objects = {info.uri for info in world.store.list(layout.root)}
    named = set(_uris(layout, world))
    caches = (layout.profiles, layout.all_scores)
    assert {uri for uri in objects - named if not uri.startswith(caches)} == set()
    for prefix in (
        layout.versions,
        layout.runs("u-1"),
        layout.checks("u-1"),
        layout.profiles,
        layout.tenures,
        f"{layout.root}watch/",
    ):
        assert any(uri.startswith(prefix) for uri in objects), prefix
    assert layout.champion in objects


def test_no_other_module_builds_names_below_the_results_prefix():
    root = Path(modelmonitor_trainer.__file__).parent
    spelled = {}
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        # Docstrings may explain the layout; only code may not spell it.
        code = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        lines = [line for line in code.splitlines() if _SEGMENTS.search(line) and not line.lstrip().startswith("#")]
        # The addresses of the site resemble those of the results, and are others.
        if lines and name not in {"registry/layout.py", "ui/addresses.py"}:
            spelled[name] = lines
    assert spelled == {}
