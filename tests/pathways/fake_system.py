"""A system with hand-made paths and a ledger of plain data, for tests of what only reads."""

import hashlib
from types import SimpleNamespace

from pathways.candidate import Measures, Result
from pathways.ledger_rows import Cost, Evaluation, Row
from pathways.modules import BUILT_IN, Frozen, Image, ModuleSpec
from pathways.path import Path, Step
from pathways.task import Classes

PORT = Image(1, 8, 8)
CONV = ModuleSpec("conv", {"channels": 2, "stride": 2})  # 20 parameters on one channel, 38 on two


def blob(*names):
    return hashlib.sha256(repr(names).encode()).hexdigest()


def frozen(spec, *names):
    return Frozen(blob(*names), spec)


ROOT = Path(
    {"image": PORT},
    {"a": Step((frozen(CONV, "root", 0),), ("image",)), "b": Step((frozen(CONV, "root", 1),), ("a",))},
    "b",
)


def task_path(name, first=None, second=None, classes=3):
    """Two convolutions, flatten and a head (2·2·2 features) of its own; modules of the root where not given."""
    return Path(
        {"image": PORT},
        {
            "a": Step((first or frozen(CONV, "root", 0),), ("image",)),
            "b": Step((second or frozen(CONV, "root", 1),), ("a",)),
            "flat": Step((frozen(ModuleSpec("flatten"), "flatten"),), ("b",)),
            "head": Step((frozen(ModuleSpec("classifier", {"classes": classes}), name, "head"),), ("flat",)),
        },
        "head",
    )


PATHS = {
    "s/one": task_path("one"),
    "s/two": task_path("two", second=frozen(CONV, "two", 1)),
    "s/three": task_path("three", second=frozen(CONV, "two", 1)),
}
HEAD, FIRST, SECOND = 27, 20, 38
NEW = {"s/one": HEAD, "s/two": SECOND + HEAD, "s/three": HEAD}
TESTS = {"s/one": 0.9, "s/two": 0.8, "s/three": 0.7}
ALONE = {"s/one": 0.8, "s/two": 0.8, "s/three": 0.4}


def _row(task, strategy, number, quality, lr, stopped=0):
    hashes = [blob(task, strategy, n) for n in range(number + 1)]
    measures = {} if quality is None else {task: Measures(quality, quality, 1.0, quality, 10)}
    result = Result(
        hashes[-1], "loss became NaN at step 17" if quality is None else "", measures, parameters=100 + number,
        trainable=10, flops=1000, seconds=0.5, cpu_seconds=0.4, stopped=stopped,
    )  # fmt: skip
    labels = {"parents": ["root"], "parent": hashes[0] if number else "root", "mutations": [f"<m> {number}"]}
    training = {"lr": lr, "steps": 50, "augment": None}
    return Row(number, hashes[-1], strategy, (task,), 0, number, 0, labels, training, {}, result, False, 0.0)


class FakeLedger:
    def __init__(self, names, rename):
        self.names, self.rename = names, rename

    def controls(self):
        return {
            ("independent", name): {
                "test": ALONE[old],
                "paths": {
                    name: task_path(
                        f"alone {old}", frozen(CONV, "alone", old, 0), frozen(CONV, "alone", old, 1)
                    ).to_json()
                },
                "memory": None,
            }
            for old, name in zip(PATHS, self.names, strict=True)
        }

    def costs_by_task(self):
        return {name: self.costs(name) for name in self.names}

    def trained_alone(self):
        return {"": 3, "family `conv` does not stack on cpu": 2}

    def evaluations(self, strategy=None, *, carried=True):
        return [
            Evaluation("system", after, task, "test", "accuracy", TESTS[old], 100)
            for i, after in enumerate(self.names)
            for old, task in list(zip(PATHS, self.names, strict=True))[: i + 1]
        ]

    def costs(self, task=None):
        share = 1 if task else len(self.names)
        return {"munet": Cost(4 * share, 0, 2.0 * share, 1.5 * share), "independent": Cost(share, 0, share, share)}

    def rows(self, task=None, strategy=None):
        """Of each task six candidates: a seed, two children, one that failed, one that a race stopped, a control."""
        found = []
        for name in self.names if task is None else [task]:
            tried = zip((0.5, 0.7, 0.6, None, 0.4), (0.1, 0.2, 0.1, 0.4, 0.1), strict=True)
            for number, (quality, lr) in enumerate(tried):
                found.append(_row(name, "munet", number, quality, lr, stopped=20 if number == 4 else 0))
            found.append(_row(name, "independent", 0, 0.55, 0.1))
        return [row for row in found if strategy in (None, row.strategy)]


class FakeSystem(SimpleNamespace):
    @property
    def briefs(self):
        """What is known in short of each task, as its record says now."""
        return {name: self._brief(record) for name, record in self.records.items()}

    def _brief(self, record):
        path = record.champion.path
        sizes = path.costs(BUILT_IN).sizes
        return SimpleNamespace(
            name=record.name, metric=record.metric, higher_is_better=record.higher_is_better, strategy=record.strategy,
            test=record.test, new_parameters=record.new_parameters, parents=record.champion.parents,
            validation=record.champion.measures.validation, parameters=sum(sizes.values()),
            sizes={blob: sizes[blob] for blob in path.frozen()}, guard="",
        )  # fmt: skip


def fake_system(directory, rename=lambda name: name):
    """Three tasks: the second trained a convolution of its own, which the third shares."""
    names = [rename(name) for name in PATHS]
    records = {}
    for (old, path), name in zip(PATHS.items(), names, strict=True):
        champion = SimpleNamespace(
            path=path,
            parents=("root",) if old != "s/three" else (rename("s/two"),),
            measures=Measures(TESTS[old] + 0.01, TESTS[old] + 0.01, 0.3, 0.9, 50),
            candidate=blob(name, "munet", 1),
        )
        records[name] = SimpleNamespace(
            name=name, champion=champion, metric="accuracy", higher_is_better=True, strategy="munet",
            test=TESTS[old], new_parameters=NEW[old], target=Classes(3),
        )  # fmt: skip
    return FakeSystem(
        directory=directory, place=str(directory), roots={"root": ROOT}, records=records, families=BUILT_IN,
        fingerprint="f" * 64,
        champions={name: record.champion for name, record in records.items()}, ledger=FakeLedger(names, rename),
    )  # fmt: skip
