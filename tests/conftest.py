"""What tests of all floors share. Its folder is importable from every test, for the helpers beside it."""

import os
import signal
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

# Pytest has put this folder on the import path, where its `pathways/` would hide the package of that name:
# the package is imported first, without it.
_HERE = str(Path(__file__).parent)
_places = [place for place in sys.path if place == _HERE]
sys.path[:] = [place for place in sys.path if place != _HERE]
import pathways  # noqa: E402

assert pathways.__version__
sys.path.extend(_places)

collect_ignore = ["third_party"]  # a package of its own: `pathways/test_entry_points.py` installs it and runs its tests

# A shell that starts tests in the background lets them ignore interrupts, and so their children: runs under test would
# not hear of one.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """The files with the most slow tests come first: what begins last keeps one process at work while others wait."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


hypothesis.settings.register_profile("shared machine", deadline=None)  # how long an example takes says nothing there
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """What the package keeps in the user's cache folder stays out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_power_cuts():
    """Tests kill processes, never the machine: they see nothing of what is forced to disk, which takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="module")
def blank_pictures():
    """Reports are written with blank pictures: drawing them takes seconds."""
    from pathways.affinity.report import page as studies
    from pathways.canvas import Figure, render
    from pathways.report import page as runs

    def blank(figure, format, name, dpi=160):
        return render(Figure((1, 1)), format, name, 20)

    with pytest.MonkeyPatch.context() as patch:
        for page in (runs, studies):
            patch.setattr(page, "render", blank)
        yield


@pytest.fixture(scope="session")
def servers():
    """The database servers that tests of this process use, by name, each started when it is first asked for."""
    import databases

    with ExitStack() as stack:
        started = {}

        def server(name):
            if name not in started:
                started[name] = stack.enter_context(getattr(databases, name)())
            return started[name]

        yield server


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database(request, tmp_path, servers):
    """Where a ledger can be, one kind after another: a file, or the URL of an empty database."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.db")
        return
    with servers(request.param).empty() as url:
        yield url
