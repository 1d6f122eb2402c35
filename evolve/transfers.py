"""Transfers for real: copies of trained trunks with a new head, fine-tuned for another task, as candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pathways.affinity.tournament import JOIN
from pathways.candidate import Candidate
from pathways.convert import conversion
from pathways.modules import Draft, Init, ModuleRef, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.seeds import seed_of

from .paths import converted, fit_inputs, glue, warm, with_head, without_head
from .study import Session


def own_paths(session: Session, seed: int) -> dict[str, Path]:
    """By task, the trained path of its own network, for one seed; without those whose training failed."""
    asked = [session.network((name,), seed) for name in session.names]
    results = session.train(asked)
    return {
        task: path for candidate, result in zip(asked, results, strict=True) if result.ok
        for task, path in candidate.trained_paths(result).items()
    }  # fmt: skip


def transferred(session: Session, transfer: str, target: str, seed: int, paths: Mapping[str, Path]) -> Candidate | None:
    """A network for a target that starts from trained trunks, all of it trained on with the study's training.

    The head starts as that of the target's own network does, and batches come in the same order; so what differs from
    training from scratch is where the trunk starts, and with several sources its size.

    Args:
        session: whose training and tasks.
        transfer: the tasks whose trunks are copied, joined by a vertical bar; several are read side by side.
        target: the task that it is for.
        seed: of head, batches and noise.
        paths: by task, the trained path of its own network.

    Returns:
        The candidate; `None` where a source's own training failed.
    """
    sources = transfer.split(JOIN)
    if not all(source in paths for source in sources):
        return None
    task = session.tasks[target]
    trunks = [warm(fit_inputs(without_head(paths[source]), task.inputs)) for source in sources]
    trunk = trunks[0] if len(trunks) == 1 else side_by_side(trunks, session)
    path = with_head(
        trunk, task.target, f"head/{target}", start=Init(seed_of("head", seed, target)), inputs=task.inputs,
        families=session.system.families,
    )
    labels = {"strategy": "affinity", "generation": 0, "parents": sources, "mutations": []}
    return Candidate({target: path}, session.training, {target: task.fingerprint}, run=seed, labels=labels)


def side_by_side(trunks: list[Path], session: Session) -> Path:
    """Headless paths of the same inputs as one, whose output holds theirs as one vector."""
    steps: dict[str, Step] = {}
    ends = []
    for number, trunk in enumerate(trunks):
        own, families = dict(trunk.steps), session.system.families
        end = converted(own, trunk.output, conversion(trunk.ports(families)[trunk.output], Vector, families))
        numbered = _numbered(Path(trunk.inputs, own, end), number)
        steps |= numbered.steps
        ends.append(numbered.output)
    steps["both"] = Step((glue("both", ModuleSpec("concat")),), tuple(ends))
    return Path(trunks[0].inputs, steps, "both")


def _numbered(trunk: Path, number: int) -> Path:
    """The path with a number in the names of its steps and drafts."""
    def name(step: str) -> str:
        return step if step in trunk.inputs else f"{step}.{number}"

    def renamed(ref: ModuleRef) -> ModuleRef:
        return replace(ref, name=f"{ref.name}.{number}") if isinstance(ref, Draft) else ref

    drafts = trunk.map_refs(renamed)
    steps = {
        name(step): drafts.steps[step].map_reads(name)
        for step in drafts.steps
    }  # fmt: skip
    return Path(drafts.inputs, steps, name(drafts.output))


__all__ = ["own_paths", "side_by_side", "transferred"]
