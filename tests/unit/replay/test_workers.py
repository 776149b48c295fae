"""Worker processes: they answer in any order, and end with the process that started them."""

import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.past_store import PastData, ResultsFolder
from modelmonitor_trainer.replay.workers import PastStoreConfig, Workers
from modelmonitor_trainer.storage.open import StoreConfig
from support.processes import wait_until
from unit.replay.conftest import write_and_read


def config(past):
    data = PastData.list(past.store, past.parsed(), Arrival.DECLARED)
    return PastStoreConfig(StoreConfig(), data, ResultsFolder(f"{past.base}/replay/", f"{past.base}/replay/profiles/"))


def test_functions_run_elsewhere_with_the_store(past):
    with Workers(config(past), 2) as workers:
        futures = [workers.submit(write_and_read, name) for name in ("a", "b", "c")]
        results = [future.result() for future in futures]
    assert [content for content, _ in results] == [b"a", b"b", b"c"]
    assert os.getpid() not in {pid for _, pid in results}


#: A program with a worker process, which ends in the way that is filled in.
SCRIPT = """
        import os, sys, time
        from modelmonitor_trainer.replay.listing import Listing
        from modelmonitor_trainer.replay.arrival import Arrival
        from modelmonitor_trainer.replay.past_store import PastData, ResultsFolder
        from modelmonitor_trainer.replay.workers import PastStoreConfig, Workers
        from modelmonitor_trainer.storage.open import StoreConfig
        def pid(store):
            return os.getpid()
        def wait(store):
            time.sleep(600)
        if __name__ == "__main__":
            data = PastData((), Arrival.DECLARED, Listing(()))
            store = PastStoreConfig(StoreConfig(), data, ResultsFolder("file:///r/", "file:///r/p/"))
            {end}
"""


def write_script(tmp_path, end):
    path = tmp_path / "parent.py"
    path.write_text(textwrap.dedent(SCRIPT).replace("{end}", textwrap.indent(textwrap.dedent(end), " " * 4).strip()))
    return path


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_they_end_with_their_parent(tmp_path, number):
    path = write_script(
        tmp_path,
        """
        with Workers(store, 1) as workers:
            print(workers.submit(pid).result(), flush=True)
            time.sleep(600)
        """,
    )
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.send_signal(number)
    wait_until(lambda: has_ended(worker), "the end of the worker")


def test_an_error_stops_them_at_once_and_leaves_no_warnings(tmp_path):
    """Programs end without the finalizers of the interpreter, which would report semaphores that are left."""
    path = write_script(
        tmp_path,
        """
        try:
            with Workers(store, 1) as workers:
                print(workers.submit(pid).result())
                workers.submit(wait)
                raise ValueError
        except ValueError:
            sys.stdout.flush()
            os._exit(2)
        """,
    )
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    assert has_ended(int(done.stdout))


def has_ended(pid):
    """Return whether a process has ended; one whose new parent never looks stays as a zombie."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
