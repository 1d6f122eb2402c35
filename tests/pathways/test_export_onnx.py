"""ONNX files of champions answer as the champions do, for any batch, in another runtime."""

from __future__ import annotations

import pytest
import torch

from pathways import System, data
from pathways.evolve import Independent
from pathways.modules import Draft, ModuleSpec
from pathways.path import Path, Step

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the packages of the `dev` extra")
pytest.importorskip("onnxscript", reason="needs the packages of the `dev` extra")

CHAINS = {
    "digits_tasks": [("conv", {"channels": 4, "norm": "batch", "pool": 2}), ("flatten", {})],
    "diabetes": [("linear", {"dim": 8, "activation": "relu"})],
}


@pytest.mark.parametrize("source", CHAINS)
def test_an_onnx_file_gives_what_the_champion_gives(source, tmp_path):
    task = data.load(source, **({"groups": [[0, 1, 2]]} if source == "digits_tasks" else {}))[0]
    [name] = task.inputs
    steps, last = {}, name
    for i, (family, config) in enumerate(CHAINS[source]):
        steps[f"s{i}"] = Step((Draft(f"s{i}", ModuleSpec(family, config)),), (last,))
        last = f"s{i}"
    system = System.create(tmp_path / "run", root=Path(task.inputs, steps, last))
    system.learn(task, Independent(training={"steps": 20}))
    session = onnxruntime.InferenceSession(
        str(system.export(task.name, "onnx", tmp_path / "model.onnx")), providers=["CPUExecutionProvider"]
    )
    stored = task.splits["test"].inputs[name]
    for batch in (stored[:1], stored[:7]):
        [scores] = session.run(None, {session.get_inputs()[0].name: batch.numpy()})
        found = torch.from_numpy(scores)
        found = found.softmax(1) if source == "digits_tasks" else found
        assert torch.allclose(found, system.predict(task.name, {name: batch}), rtol=1e-4, atol=1e-5)
