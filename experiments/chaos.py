"""A stream learned on a Ray cluster whose workers and drivers are killed at random moments, and what is found after.

A run on the local engine says what must come out, and how many candidates there are. Then the same configuration is
run by a driver that is a child process, on nodes that are child processes, too; at moments drawn by a seed, told in
candidates that are recorded, a worker or the driver gets signal 9, and a driver is begun again with `pathways resume`.

    python -m pathways.experiments.chaos --kills 30 --drivers 5 --seed 0 --out runs/chaos
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pathways.errors import ForgettingError, PathwaysError
from pathways.pool import Pool
from pathways.seeds import numpy_generator
from pathways.system import System

from .raylets import Raylets, sessions
from .yaml_file import write_yaml

WORKER, DRIVER = "worker", "driver"
GONE_SECONDS = 30.0
STALL_SECONDS = 180.0
STREAM: Mapping[str, Any] = {
    "name": "chaos",
    "root": "omniglot",
    "tasks": [{"source": "omniglot", "alphabets": [
        "Angelic", "Atemayar_Qelisayer", "Atlantean", "Aurek-Besh", "Avesta", "Ge_ez", "Glagolitic", "Gurmukhi",
    ]}],
    "training": {"steps": 60, "batch": 32, "lr": 2e-3},
    "strategy": {"munet": {"generations": 3, "children": 4, "probes": 1}},
    "controls": [],
    # So many kills would otherwise meet one candidate three times, and it would be recorded as failed.
    "engine": {"stack": 1, "retries": 1000},
}  # fmt: skip
"""What is learned: small searches on small data, about a third of a second a candidate."""


@dataclass(frozen=True)
class Moment:
    """When somebody is to be killed.

    Args:
        what: `worker` or `driver`.
        after: how many candidates are recorded then.
        delay: seconds after that.
    """

    what: str
    after: int
    delay: float


@dataclass(frozen=True)
class Kill:
    """Somebody who was killed.

    Args:
        what: `worker` or `driver`.
        after: how many candidates were recorded.
        at: what a worker was at: `take` is training, `open` and `__init__` beginning, an empty word waiting.
        lost: how many dispatches were under way in what was killed, to be trained again.
    """

    what: str
    after: int
    at: str
    lost: int


@dataclass
class Findings:
    """What was found. `wrong` lists what must not be, and is empty.

    Args:
        candidates: how many the run without faults recorded.
        kills: who was killed, in order.
        local_seconds, seconds: how long the run took without faults on the local engine, and with them on Ray.
        calm_seconds: without faults on Ray, where that was measured.
        gone_seconds: the longest that workers lived on whose driver was killed.
        wrong: sentences.
    """

    candidates: int
    kills: list[Kill] = field(default_factory=list)
    local_seconds: float = 0.0
    seconds: float = 0.0
    calm_seconds: float | None = None
    gone_seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The findings as a table in Markdown, and what is wrong."""
        words = {"take": "training", "": "waiting"}
        moments = Counter(
            f"{kill.what}, " + (f"{kill.lost} at work" if kill.what == DRIVER else words.get(kill.at, "beginning"))
            for kill in self.kills
        )
        lost = sum(kill.lost for kill in self.kills)
        calm = "" if self.calm_seconds is None else f", on Ray without faults {self.calm_seconds:.0f} s"
        rows = [
            ("candidates recorded", f"{self.candidates}, each once"),
            *((f"killed: {name}", str(times)) for name, times in sorted(moments.items())),
            ("dispatches trained again", f"{lost}, {lost / max(1, self.candidates):.0%} of the work"),
            ("seconds", f"{self.seconds:.0f}; on the local engine {self.local_seconds:.0f} s{calm}"),
            ("workers gone after their driver", f"{self.gone_seconds:.1f} s at most"),
            ("wrong", "; ".join(self.wrong) or "nothing"),
        ]
        return "\n".join(["| what | found |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def moments(total: int, kills: int, drivers: int, seed: int) -> list[Moment]:
    """Who is killed when, drawn by a seed; the last tenth of the candidates is left in peace, to end.

    Example:
        >>> [moment.what for moment in moments(100, 2, 1, seed=0)].count("worker")
        2
        >>> all(moment.after < 90 for moment in moments(100, 20, 5, seed=1))
        True
    """
    random = numpy_generator("chaos", seed)
    whats = random.permutation([WORKER] * kills + [DRIVER] * drivers)
    last = max(1, total * 9 // 10)
    afters = sorted(random.choice(last, size=len(whats), replace=len(whats) > last).tolist())
    return [Moment(str(what), after, float(random.random())) for what, after in zip(whats, afters, strict=True)]


def chaos(
    cluster: Raylets, folder: Path, stream: Mapping[str, Any] = STREAM, *, kills: int = 30, drivers: int = 5,
    seed: int = 0, workers: int = 3, calm: bool = False,
) -> Findings:
    """Run a stream on the local engine, then on a cluster with faults, and compare.

    Args:
        cluster: running nodes; nothing but this run's workers may be on them.
        folder: an empty one, for the configuration and the run directories.
        stream: a configuration.
        kills: how many workers get signal 9.
        drivers: how many drivers do.
        seed: of the moments.
        workers: how many train at the same time.
        calm: whether to run on the cluster without faults, too, for the seconds.

    Raises:
        PathwaysError: a run without faults fails, or nothing happens any more.
    """
    config = folder / "chaos.yaml"
    write_yaml(config, stream)
    far = ["--engine", "ray", "--address", cluster.address, "--workers", str(workers)]
    local, local_seconds = _calm(cluster, folder / "local", config, ["--engine", "local", "--workers", "2"])
    findings = Findings(recorded(folder / "local"), local_seconds=local_seconds)
    if calm:
        _, findings.calm_seconds = _calm(cluster, folder / "calm", config, far)
    began = time.monotonic()
    planned = moments(findings.candidates, kills, drivers, seed)
    said = _disturbed(cluster, folder / "ray", config, far, planned, findings)
    findings.seconds = time.monotonic() - began
    findings.wrong += list(_wrong(local, said, folder, cluster))
    return findings


def _calm(cluster: Raylets, out: Path, config: Path, engine: list[str]) -> tuple[dict[str, Any], float]:
    began = time.monotonic()
    with driver(cluster, out, "run", str(config), "--out", str(out), *engine) as process:
        process.wait()
    return _said(out, process), time.monotonic() - began


def _disturbed(
    cluster: Raylets, out: Path, config: Path, engine: list[str], planned: Sequence[Moment], findings: Findings
) -> dict[str, Any]:
    """Run to the end through all of it; returns what the last driver says."""
    words = ["run", str(config), "--out", str(out)]
    left = list(planned)
    while True:
        with driver(cluster, out, *words, *engine) as process:
            while left and process.poll() is None:
                moment = left[0]
                _until(lambda: recorded(out) >= moment.after or process.poll() is not None, "recorded")  # noqa: B023
                time.sleep(moment.delay)
                if moment.what == WORKER:
                    _until(lambda: cluster.workers() or process.poll() is not None, "a worker's beginning")
                if process.poll() is not None:
                    break
                findings.kills.append(_killed(cluster, process, moment, recorded(out)))
                left.pop(0)
                if moment.what == DRIVER:
                    break
            status = process.wait()
        if status != -signal.SIGKILL:
            break
        findings.gone_seconds = max(findings.gone_seconds, gone(cluster))
        # What was killed before it had made the run begins it.
        words = ["resume", str(out)] if (out / "system.json").exists() else words
    findings.wrong += [f"{moment.what} to be killed after {moment.after}, found the run at its end" for moment in left]
    return _said(out, process)


def _killed(cluster: Raylets, process: subprocess.Popen[bytes], moment: Moment, recorded: int) -> Kill:
    found = cluster.workers()
    if moment.what == DRIVER:
        process.kill()
        return Kill(DRIVER, recorded, "", sum(at == "take" for at in found.values()))
    pids = sorted(found)
    pid = pids[int(moment.delay * 1e6) % len(pids)]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return Kill(WORKER, recorded, found[pid], int(found[pid] == "take"))


@contextmanager
def driver(cluster: Raylets, out: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of `pathways` as a child process that joins a cluster; killed in the end, if it still is there.

    Args:
        cluster: whose environment it gets.
        out: its outputs go to files beside this.
        words: of its command line.
    """
    command = [sys.executable, "-m", "pathways.experiments.cli", *words, "--quiet", "--json"]
    with out.with_suffix(".json").open("wb") as said, out.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=log, start_new_session=True,
            env={**os.environ, **cluster.environment},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _said(out: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    if process.returncode:
        lines = out.with_suffix(".log").read_text(errors="replace").strip().splitlines()[-3:]
        raise PathwaysError(f"a driver must end with status 0, found {process.returncode}: {' '.join(lines)}")
    text = out.with_suffix(".json").read_text()
    try:
        said: dict[str, Any] = json.loads(text)
    except ValueError:
        raise PathwaysError(f"a driver must print its summary as JSON alone, found {text[:300]!r}.") from None
    return said


def recorded(out: Path) -> int:
    """How many candidates a run has recorded; 0 before it has a ledger."""
    with suppress(sqlite3.OperationalError), closing(
        sqlite3.connect(f"file:{out / 'ledger.db'}?mode=ro", uri=True, timeout=10)
    ) as ledger:
        return int(ledger.execute("SELECT count(*) FROM candidates").fetchone()[0])
    return 0


def _until(there: Any, what: str) -> None:
    until = time.monotonic() + STALL_SECONDS
    while not there():
        if time.monotonic() > until:
            raise PathwaysError(f"the run must go on, found nothing for {STALL_SECONDS:g} s while waiting for {what}.")
        time.sleep(0.02)


def gone(cluster: Raylets) -> float:
    """How long it takes until no worker is left, `GONE_SECONDS` at most."""
    began = time.monotonic()
    while cluster.workers() and time.monotonic() - began < GONE_SECONDS:
        time.sleep(0.05)
    return time.monotonic() - began


def _wrong(local: Mapping[str, Any], said: Mapping[str, Any], folder: Path, cluster: Raylets) -> Iterator[str]:
    """What is not as it is without faults, as sentences."""
    if said["fingerprint"] != local["fingerprint"]:
        yield f"fingerprint {said['fingerprint']}, without faults {local['fingerprint']}"
    yield from differences(folder / "local", folder / "ray")
    if gone(cluster) >= GONE_SECONDS:
        yield f"workers left: {cluster.workers()}"


def differences(calm: Path, other: Path) -> Iterator[str]:
    """What two finished runs of one configuration differ in, as sentences: candidates, results, what `verify` finds.

    Args:
        calm: the directory of the run that is right.
        other: that of the run that is looked at.
    """
    found = []
    for directory in (calm, other):
        with System.open(directory) as system:
            rows = system.ledger.rows()
            found.append({row.hash: (row.result.quality, row.result.failure, dict(row.result.blobs)) for row in rows})
            if len(rows) != len(found[-1]):
                yield f"{len(rows) - len(found[-1])} candidates recorded twice in {directory.name}"
            try:
                system.verify()
            except ForgettingError as error:
                yield f"verify: {error}"
    right, seen = found
    for word, hashes in (("lost", right.keys() - seen), ("recorded, but not without faults", seen.keys() - right)):
        if hashes:
            yield f"{len(hashes)} candidates {word}: {', '.join(sorted(hashes))[:200]}"
    others = sorted(hash for hash in right.keys() & seen if right[hash] != seen[hash])
    if others:
        yield f"{len(others)} candidates with other results: {', '.join(others)[:200]}"
    if set(Pool(calm / "pool")) != set(Pool(other / "pool")):
        yield "the pools hold other blobs"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.chaos", description=__doc__.split("\n")[0])
    for name, value in (("kills", 30), ("drivers", 5), ("seed", 0), ("workers", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--out", type=Path, help="an empty folder; a temporary one when not given")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with Raylets((2, 1, 1)) as cluster:
                findings = chaos(
                    cluster, folder, kills=options.kills, drivers=options.drivers, seed=options.seed,
                    workers=options.workers, calm=True,
                )  # fmt: skip
        except PathwaysError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        if left := [pid for pid, session in sessions() if session in cluster.sessions]:
            findings.wrong.append(f"processes left: {left}")
        (folder / "findings.json").write_text(json.dumps(asdict(findings), indent=1) + "\n")
    sys.stdout.write(findings.text() + "\n")
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
