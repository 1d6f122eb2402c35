import json

import pytest
import torch
from helpers_tiny import TRAINING, FixedPath, chain, head, linear, task_of

import pathways
from pathways import evolve
from pathways.candidate import Training
from pathways.errors import BlobError, ConfigError
from pathways.evolve.paths import without_head
from pathways.modules import Image, Vector
from pathways.root import Root, shipped_roots


def learned(directory):
    """A root made of what a run has learned."""
    with pathways.System.create(directory, training=TRAINING, stack=1) as system:
        champion = system.learn(
            task_of("one"), FixedPath(lambda view: {"one": chain(view.task.inputs, linear("a"), head())}, rounds=1)
        )
        trunk = without_head(champion.path)
        return Root(trunk, {blob: system.pool.raw(blob) for blob in trunk.frozen()}, {"weights": "a run"})


def test_the_roots_that_ship_can_be_built_on(tmp_path):
    assert shipped_roots() == ["omniglot", "omniglot-vit"]
    for name in shipped_roots():
        root = Root.named(name)
        assert root.path.inputs == {"image": Image(1, 28, 28)}
        assert isinstance(root.path.ports()[root.path.output], Vector)
        root.install(pathways.Pool(tmp_path / name))
        assert set(pathways.Pool(tmp_path / name)) == set(root.path.frozen())
        assert sum(map(len, root.blobs.values())) < 1_000_000


def test_the_root_of_transformer_blocks_knows_characters(tmp_path):
    """With a head in closed form on the frozen root it tells the 20 characters of an alphabet it has not seen."""
    [task] = pathways.data.omniglot(alphabets=["Angelic"])
    training = Training(steps=0, head_init="discriminant")
    with pathways.System.create(tmp_path / "run", root="omniglot-vit", training=training, stack=1) as system:
        system.learn(task, evolve.MuNet(generations=0, probe_training={"steps": 0}))
        assert system.records["omniglot/Angelic"].test >= 0.8


def test_a_root_goes_through_a_folder(tmp_path):
    root = learned(tmp_path / "first")
    again = Root.named(str(root.write(tmp_path / "folder")))
    assert (again.path, again.blobs, again.source) == (root.path, root.blobs, {"weights": "a run"})
    for i, given in enumerate((root, str(tmp_path / "folder"))):
        with pathways.System.create(tmp_path / f"run{i}", root=given) as system:
            assert system.root == root.path
            assert dict(system.record.source) == {"weights": "a run"}
            [[weight, *_]] = [system.pool.get(blob).values() for blob in root.path.frozen()]
            assert bool(weight.isfinite().all())
            assert torch.is_tensor(weight)


def test_a_root_that_lacks_weights_is_refused(tmp_path):
    root = learned(tmp_path / "first")
    [blob] = root.path.frozen()
    with pytest.raises(BlobError, match="holds other bytes than its name says"):
        Root(root.path, {blob: root.blobs[blob][:-1]}).install(pathways.Pool(tmp_path / "pool"))
    with pytest.raises(ConfigError, match=r"`root` must be one of \['omniglot', .*found 'nowhere'"):
        Root.named("nowhere")
    folder = root.write(tmp_path / "folder")
    data = json.loads((folder / "path.json").read_text())
    data["steps"]["step0"]["modules"][0]["frozen"] = "../" + blob
    (folder / "path.json").write_text(json.dumps(data))
    with pytest.raises(pathways.PathwaysError, match="frozen blob id"):
        Root.named(str(folder))
