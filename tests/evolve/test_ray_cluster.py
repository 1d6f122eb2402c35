"""The Ray engine on a real cluster: three nodes on this machine, of which processes and a whole node are killed.

The only Ray session of the suite; the time is in starting Ray and its workers, so one engine serves most tests.
"""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import socket
import time
import urllib.error
import urllib.request
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from helpers_faults import Fault, Placed, used
from helpers_scribble import Scribble
from helpers_tiny import DIM, TRAINING, Counting, chain, head, linear, task_of, tiny_root
from needs import lack
from notebook_cells import cells, shown

from pathways import evolve
from pathways import freeze as freezing
from pathways.candidate import Candidate, Result
from pathways.engine import Dispatch
from pathways.errors import EngineError
from pathways.evolve import cluster as ray_calls
from pathways.evolve.ray import Ray
from pathways.experiments import chaos
from pathways.experiments.cli import main
from pathways.experiments.raylets import Raylets, sessions
from pathways.experiments.serve_ray import application, started, stopped
from pathways.experiments.serving import Served, reply_to
from pathways.experiments.yaml_file import write_yaml
from pathways.in_process import InProcess
from pathways.ledger_tables import leases
from pathways.modules import Draft, Families, Frozen, Init, ModuleRef, ModuleSpec
from pathways.pool import Pool
from pathways.system import System

pytestmark = pytest.mark.slow

FAMILIES = Families([Scribble, Fault, Placed])
TASK = task_of("one")
REPOSITORY = FilePath(__file__).parent.parent.parent
DEADLINE = 8.0
STREAM = {
    "name": "short",
    "root": {"architecture": [{"family": "flatten"}, {"family": "linear", "dim": 24, "activation": "relu"}]},
    "tasks": [{"source": "digits_tasks", "groups": [[0, 1, 2], [3, 4, 5]]}],
    "training": {"steps": 250, "batch": 16},
    "strategy": {"munet": {"generations": 3, "children": 4, "probes": 1}},
    "controls": [],
    "engine": {"stack": 1, "retries": 1000},
}
numbers = count()


@pytest.fixture(scope="module")
def raylets() -> Iterator[Raylets]:
    """Three nodes, of which this process has joined the first."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            with Raylets((2, 1, 1)) as found:
                for name, value in found.environment.items():
                    patch.setenv(name, value)
                import ray  # which reads these when it is imported
                from ray._private.authentication_test_utils import reset_auth_token_state

                reset_auth_token_state()  # where it was imported before
                ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
                try:
                    yield found
                finally:
                    ray.shutdown()
        except (ImportError, EngineError, OSError) as error:
            lack("ray", str(error))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """The pool of `engine`."""
    return tmp_path_factory.mktemp("ray") / "pool"


@pytest.fixture(scope="module")
def shared(raylets: Raylets, pool: FilePath) -> Iterator[Ray]:
    """Four workers on three nodes: two of them share one."""
    with Ray(4, cpus_per_worker=0.5, deadline=DEADLINE) as made:
        yield made


@pytest.fixture
def engine(shared: Ray, pool: FilePath) -> Ray:
    """The same, with all four ready, and nothing under way."""
    shared.open(pool, FAMILIES)
    shared.provide(TASK)
    all_ready(shared, 4)
    return shared


def all_ready(engine: Ray, workers: int) -> None:
    until = time.monotonic() + 60
    while (len(engine.pids()) != workers or engine._gang) and time.monotonic() < until:
        engine._look()
        engine._feed()
        engine._collect(0.2)
    assert len(engine.pids()) == workers


def candidate(seed: int = 0, *before: ModuleRef, **settings: Any) -> Candidate:
    path = chain(TASK.inputs, *before, linear("a", start=Init(seed)), head())
    return Candidate({"one": path}, TRAINING, {"one": TASK.fingerprint}, **settings)


def dispatch(*candidates: Candidate) -> Dispatch:
    return Dispatch(next(numbers), candidates)


def stored(pool: FilePath, family: str, **config: Any) -> Frozen:
    spec = ModuleSpec(family, config)
    return Frozen(Pool(pool).put(spec, {"scale": torch.ones(DIM)}), spec)


def fault(file: FilePath, way: str, times: int = 1) -> Draft:
    return Draft("fault", ModuleSpec("fault", {"way": way, "file": str(file), "times": times}))


def run(engine: Any, *dispatches: Dispatch) -> list[Result]:
    """The results of all, in the order of what was submitted, each of which is answered once."""
    for one in dispatches:
        engine.submit(one)
    found: dict[int, Sequence[Result]] = {}
    while (answer := engine.next(60)) is not None:
        assert answer.dispatch.id not in found
        found[answer.dispatch.id] = answer.results
    return [replace(r, seconds=0.0, cpu_seconds=0.0) for one in dispatches for r in found[one.id]]


def here(pool: FilePath, *candidates: Candidate) -> list[Result]:
    """The results of a calm process, after all faults."""
    engine = InProcess()
    engine.open(pool, FAMILIES)
    engine.provide(TASK)
    return run(engine, *(dispatch(c) for c in candidates))


def recorded(out: FilePath, least: int) -> None:
    """Wait until so many candidates are recorded."""
    until = time.monotonic() + 60
    while chaos.recorded(out) < least and time.monotonic() < until:
        time.sleep(0.02)
    assert chaos.recorded(out) >= least


def learn(directory: FilePath, engine: Any, progress: Any = None) -> str:
    with System.create(directory, root=tiny_root(), training=TRAINING, seed=3, stack=2) as system:
        for name in ("one", "two"):
            system.learn(task_of(name), evolve.MuNet(generations=2, children=4), engine, progress=progress)
        return system.fingerprint


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fingerprint of the local run."""
    return learn(tmp_path_factory.mktemp("local") / "run", InProcess())


def test_the_notebook_on_ray_finds_the_same_champions(
    engine: Ray, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def ray(**settings: Any) -> Any:  # this suite's session in place of one of the notebook's own
        asked.append(settings)
        return nullcontext(engine)

    monkeypatch.setattr(evolve, "Ray", ray, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    names: dict[str, Any] = {}
    values = [shown(code, names) for code in cells(REPOSITORY / "notebooks" / "05-on-a-ray-cluster.ipynb")]
    assert asked == [{"workers": 2, "address": "local"}]
    assert values[1]._repr_html_().count("<svg") == 1
    assert names["here"].fingerprint == names["far"].fingerprint
    names["here"].close()


# -- serving --------------------------------------------------------------------------------------------------------


def test_a_path_is_served_by_ray_serve_in_batches(raylets: Raylets, tmp_path: FilePath) -> None:
    """The way there and back; what is said is tested without Ray, in `tests/experiments/test_serving.py`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Ray Serve uses of pydantic is deprecated
            from ray import serve
    except ImportError as error:
        lack("ray", f"Ray Serve cannot be imported ({error}): pip install 'evolving-pathways[serve]'")
    with System.create(tmp_path / "run", root=tiny_root(), training=TRAINING) as system:
        system.learn(TASK, evolve.Independent())
    served = Served.load(tmp_path / "run", "one")
    x = TASK.splits["test"].inputs["x"]
    assert isinstance(x, torch.Tensor)
    bodies = [json.dumps({"samples": [row.tolist()], "top": 2}).encode() for row in x[:8]]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started(application(tmp_path / "run", "one", wait=0.2), port=port, address=raylets.address)
    try:
        url = f"http://127.0.0.1:{port}"
        assert asked(f"{url}/healthz") == (200, {"ok": True, "task": "one"})
        assert asked(f"{url}/task") == (200, json.loads(reply_to(served, "GET", "/task").body))
        with ThreadPoolExecutor(8) as clients:
            found = list(clients.map(lambda body: asked(f"{url}/predict", body), bodies))
        for (status, said), body in zip(found, bodies, strict=True):
            assert status == 200
            [expected] = reply_to(served, "POST", "/predict", body).data["answers"]
            for one, other in zip(said["answers"][0]["top"], expected["top"], strict=True):
                assert one == {"label": other["label"], "probability": pytest.approx(other["probability"], abs=1e-6)}
        status, said = asked(f"{url}/predict", b'{"samples": [[1.0]]}')
        assert status == 400
        assert "sample 0 must be finite numbers of shape" in said["error"]
        stopped()
        assert not serve.status().applications
    finally:
        serve.shutdown()


def asked(url: str, body: bytes | None = None) -> tuple[int, Any]:
    """The status and the JSON of a reply."""
    try:
        with urllib.request.urlopen(url, data=body, timeout=60) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


# -- one engine, and what happens to its workers --------------------------------------------------------------------


def test_a_worker_that_is_killed_is_replaced_and_its_work_done_again(
    engine: Ray, pool: FilePath, tmp_path: FilePath
) -> None:
    asked = [candidate(1, fault(tmp_path / "file", "die")), *(candidate(seed) for seed in range(2, 6))]
    before = engine.pids()
    found = run(engine, *(dispatch(c) for c in asked))
    [dead] = used(str(tmp_path / "file"))
    assert int(dead) in before
    assert found == here(pool, *asked)
    assert engine._scheduler.retried == 1
    all_ready(engine, 4)
    assert int(dead) not in engine.pids()


def test_a_candidate_that_always_kills_its_worker_fails_alone(engine: Ray, pool: FilePath, tmp_path: FilePath) -> None:
    bad, good = candidate(1, fault(tmp_path / "file", "die", times=99)), candidate(7)
    failed, result = run(engine, dispatch(bad), dispatch(good))
    assert failed.failure == "its worker died, 3 times"
    assert len(set(used(str(tmp_path / "file")))) == 3
    assert [result] == here(pool, good)


def test_what_hangs_past_its_deadline_is_done_again_elsewhere(engine: Ray, pool: FilePath, tmp_path: FilePath) -> None:
    hangs = candidate(1, fault(tmp_path / "file", "sleep"))
    began = time.monotonic()
    assert run(engine, dispatch(hangs)) == here(pool, hangs)
    assert time.monotonic() - began > DEADLINE
    assert int(used(str(tmp_path / "file"))[0]) not in engine.pids()


def test_a_lack_of_memory_is_tried_again_and_then_recorded(engine: Ray, pool: FilePath, tmp_path: FilePath) -> None:
    once, always = (candidate(1, fault(tmp_path / f"{times}", "memory", times)) for times in (1, 99))
    found, failed = run(engine, dispatch(once), dispatch(always))
    assert [found] == here(pool, once)
    assert failed.failure.startswith("out of memory")
    assert len(used(str(tmp_path / "99"))) == 3


@pytest.mark.parametrize("way", ["torch", "past torch"])
def test_who_writes_to_shared_weights_is_named_and_others_are_untouched(engine: Ray, pool: FilePath, way: str) -> None:
    good, bad = stored(pool, "scribble", way="nothing"), stored(pool, "scribble", way=way)
    asked = [candidate(1, good), candidate(2, bad), candidate(3, good), candidate(4, good)]
    found = run(engine, dispatch(*asked[:2]), dispatch(*asked[2:]))
    assert bad.id[:12] in found[1].failure
    assert not found[1].blobs
    del asked[1], found[1]
    assert found == here(pool, *asked)


def test_workers_of_a_node_read_frozen_weights_in_one_place(
    engine: Ray, pool: FilePath, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "places"
    ref = stored(pool, "placed", file=str(file))
    puts = []
    put = engine.cluster.put
    monkeypatch.setattr(engine._lending, "_share", lambda value: puts.append(value) or put(value))
    asked = [candidate(seed, ref) for seed in range(12)]
    results = run(engine, *(dispatch(c) for c in asked))
    assert all(result.ok for result in results)
    assert sum(array.nbytes == DIM * 4 for value in puts for array in value.arrays) == 1
    said = {tuple(line.split()) for line in used(str(file))}
    assert len({pid for pid, _, _ in said}) >= 2
    assert {rest for _, rest, _ in said} == {"0"}, "arrays are aligned to 64 bytes, on which sums depend"
    assert "private" not in {place for _, _, place in said}
    nodes = Counter(dict(sessions())[int(pid)] for pid, _, _ in said)
    assert len({place for _, _, place in said}) == len(nodes), "as many places as nodes"


def test_what_ray_is_given_is_small(engine: Ray, pool: FilePath, monkeypatch: Any) -> None:
    from ray import cloudpickle

    sizes = []
    send = engine.cluster.send

    def weigh(worker: Any, body: bytes, parcel: Any) -> Any:
        sizes.append(len(body) + len(cloudpickle.dumps(parcel)))
        return send(worker, body, parcel)

    monkeypatch.setattr(engine.cluster, "send", weigh)
    ref = stored(pool, "scribble", way="nothing")
    run(engine, *(dispatch(*(candidate(8 * i + j, ref) for j in range(8))) for i in range(4)))
    assert len(sizes) == 4
    assert max(sizes) < 100_000
    assert len(cloudpickle.dumps(ray_calls._Actor)) + len(pickle.dumps(engine._setting())) < 100_000


# -- gangs ----------------------------------------------------------------------------------------------------------


def test_a_gang_has_the_bits_of_one_process_and_gives_its_room_back(engine: Ray, pool: FilePath) -> None:
    alone, together = candidate(1), candidate(2, workers=2)
    assert run(engine, dispatch(alone), dispatch(together), dispatch(candidate(3))) == here(
        pool, alone, together, candidate(3)
    )
    all_ready(engine, 4)


def test_a_gang_that_can_never_fit_is_refused_at_once(engine: Ray) -> None:
    with pytest.raises(EngineError, match=r"asks for 9 workers at once, each with 0.5 CPU, .*room for 8"):
        engine.submit(dispatch(candidate(workers=9)))


def test_a_gang_that_waits_too_long_for_a_busy_cluster_says_so(engine: Ray, pool: FilePath) -> None:
    ray = pytest.importorskip("ray")
    from ray.util.placement_group import placement_group, remove_placement_group

    other = placement_group([{"CPU": 0.5}] * 2)
    ray.get(other.ready(), timeout=20)
    engine.patience = 1.5
    try:
        engine.submit(dispatch(candidate(workers=7)))
        with pytest.raises(EngineError, match=r"asks for 7 workers at once, each with 0.5 CPU, found .* free on"):
            engine.next(30)
    finally:
        engine.patience = 300.0
        remove_placement_group(other)
    engine.open(pool, FAMILIES)
    assert run(engine, dispatch(candidate(5))) == here(pool, candidate(5))


# -- whole runs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_has_the_local_fingerprint(shared: Ray, tmp_path: FilePath, local: str, workers: int) -> None:
    shared.close()
    with Ray(workers, cpus_per_worker=0.5) as engine:
        assert learn(tmp_path / "run", engine) == local


def test_a_steady_search_is_replayed_without_training(
    raylets: Raylets, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, freeze = evolve.MuNet(generations=2, children=4, steady=True), freezing.freeze

    def copied(*arguments: Any) -> None:
        shutil.copytree(tmp_path / "run", tmp_path / "copy")
        freeze(*arguments)

    with (
        Ray(2, cpus_per_worker=0.5) as engine, monkeypatch.context() as patch,
        System.create(tmp_path / "run", root=tiny_root(), training=TRAINING, stack=1) as system,
    ):  # fmt: skip
        patch.setattr(freezing, "freeze", copied)
        system.learn(task_of("one"), strategy, engine)
        assert len(system.ledger.rows()) >= 8
        fingerprint = system.fingerprint
    again = Counting()
    with System.open(tmp_path / "copy") as system:
        with system.ledger.engine.connect() as connection, connection.begin():
            connection.execute(leases.delete())  # that of this very process
        system.learn(task_of("one"), strategy, again)
        assert system.fingerprint == fingerprint
    assert again.trained == []


def test_an_interrupted_driver_leaves_no_worker(raylets: Raylets, shared: Ray, tmp_path: FilePath) -> None:
    shared.close()
    config, out = tmp_path / "config.yaml", tmp_path / "run"
    # Few candidates that each take seconds, so that the run is there when it is interrupted.
    few = {"munet": {"generations": 1, "children": 4, "probes": 1}}
    slow = {"training": {"steps": 3000, "batch": 16}, "strategy": few}
    write_yaml(config, {**STREAM, **slow, "tasks": [{"source": "digits_tasks", "groups": [[0, 1, 2]]}]})
    words = ["run", str(config), "--out", str(out), "--engine", "ray", "--address", raylets.address, "--workers", "2"]
    with chaos.driver(raylets, out, *words) as process:
        recorded(out, 1)
        assert len(raylets.workers()) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert f"pathways: interrupted: go on with `pathways resume {out}`" in out.with_suffix(".log").read_text()
    assert chaos.gone(raylets) < 5
    assert main(["resume", str(out), "--engine", "local", "--quiet"]) == 0
    assert main(["run", str(config), "--out", str(tmp_path / "local"), "--engine", "local", "--quiet"]) == 0
    assert list(chaos.differences(tmp_path / "local", out)) == []


def test_a_run_survives_killed_workers_and_a_killed_driver(raylets: Raylets, shared: Ray, tmp_path: FilePath) -> None:
    shared.close()
    slow = {**STREAM, "training": {"steps": 1200, "batch": 16}}  # so that the run is there when somebody is to die
    found = chaos.chaos(raylets, tmp_path, slow, kills=4, drivers=1, seed=1)
    assert found.wrong == []
    assert Counter(kill.what for kill in found.kills) == {"worker": 4, "driver": 1}
    assert found.gone_seconds < 10


def test_a_run_survives_that_a_node_is_lost_and_uses_one_that_joins(
    raylets: Raylets, tmp_path: FilePath, local: str
) -> None:
    events: list[Any] = []

    def progress(event: Any) -> None:
        events.append(event)
        if len(events) == 3:
            all_ready(engine, 4)
            raylets.kill(raylets.nodes[-1])
            events.append(raylets.add(1))

    with Ray(cpus_per_worker=1, retries=9) as engine:
        assert learn(tmp_path / "run", engine, progress) == local
        joined = raylets.nodes[-1].process.pid
        until = time.monotonic() + 60
        while joined not in map(dict(sessions()).get, engine.pids()) and time.monotonic() < until:
            engine._look()
            engine._collect(0.2)
        workers = set()
        for seed in range(12):
            engine.submit(dispatch(candidate(seed)))
        while (answer := engine.next(60)) is not None:
            workers |= {int(span.worker.rpartition("/")[2]) for span in answer.spans if span.worker}
        pids = {engine._crew.workers[number].pid for number in workers}
        assert joined in map(dict(sessions()).get, pids)


def test_a_lost_node_is_told_and_closing_leaves_nothing(raylets: Raylets, shared: Ray, tmp_path: FilePath) -> None:
    import ray

    shared.close()
    assert chaos.gone(raylets) < 5
    ray.shutdown()
    config, out = tmp_path / "config.yaml", tmp_path / "run"
    write_yaml(config, STREAM)
    words = ["run", str(config), "--out", str(out), "--engine", "ray", "--address", raylets.address, "--workers", "3"]
    with chaos.driver(raylets, out, *words) as process:
        recorded(out, 2)
        raylets.kill(raylets.nodes[0])
        assert process.wait(30) == 2
    assert "the node of Ray that this process has joined must be alive" in out.with_suffix(".log").read_text()
    assert raylets.processes()
    raylets.close()
    assert raylets.processes() == []
    assert not raylets.folder.exists()
