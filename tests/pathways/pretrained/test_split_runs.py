"""Whole runs on trained networks that were split: evolved on, nothing forgotten, exported as programs."""

import pytest
import torch
from helpers_tiny import task_of
from pretrained_networks import Encoder, Layouts, Nets, TimmViT, TorchvisionViT, images, seeded

import pathways
from pathways import evolve
from pathways.candidate import Training
from pathways.modules import Families, Image
from pathways.pretrained import split, vision
from pathways.program import Program

TRAINING = Training(steps=6, batch=12, lr=0.01)
ROUND = {"generations": 1, "children": 3, "mutable_rates": False}
RATES = {"clone": 0.0, "clone:block1": 1.0, "adapter": 0.0, "hyperparameter": 0.0, "layers": 0.0}


def pictures(name):
    """A task of small images: a point's numbers are the rows' brightness."""
    def make(split, x):
        return {"image": x.repeat(1, 5)[:, :28, None].expand(-1, -1, 28)[:, None].contiguous()}

    return task_of(name, {"image": Image(1, 28, 28)}, make)


@pytest.fixture(scope="module")
def network():
    return seeded(TimmViT).eval()


@pytest.fixture(scope="module")
def run(network, tmp_path_factory):
    """Two tasks learned on a ViT of a user's, and what the first answered before the second was learned."""
    root = vision(network, images(), model={"kind": "timm_vit"}, family=Layouts, first=True, source="checkpoint 7")
    directory = tmp_path_factory.mktemp("split") / "run"
    first, second = pictures("one"), pictures("two")
    with pathways.System.create(directory, root=root, families=[Layouts], training=TRAINING, stack=1) as system:
        system.learn(first, evolve.MuNet(**ROUND, rates=RATES))
        before = system.predict("one", first.splits["test"].inputs)
        system.learn(second, evolve.MuNet(**ROUND, rates=RATES))
    return directory, before


def test_munet_evolves_on_it_and_forgets_nothing(run, network):
    directory, before = run
    with pathways.System.open(directory, families=[Layouts]) as system:
        assert system.verify().ok
        assert torch.equal(system.predict("one", pictures("one").splits["test"].inputs), before)
        assert system.summary()["forgetting"] == 0
        assert torch.equal(root_output(system), network.norm(tokens(network, images()))[:, 0])
        trained = [ref for record in system.records.values() for ref in record.path.refs()]
        shared = system.root.frozen()
        assert {ref.spec.config.get("submodule") for ref in trained if ref.id in shared} >= {"embeddings", "block0"}


def root_output(system):
    from pathways.assemble import PathModule

    path = PathModule(system.root, lambda ref: system.pool.get(ref.id), Families([Layouts])).eval()
    with torch.no_grad():
        return path({"image": images()})


def tokens(network, x):
    with torch.no_grad():
        x = torch.cat([network.cls_token.expand(len(x), -1, -1), network.patch_embed(x)], dim=1) + network.pos_embed
        return network.blocks(x)


def test_layers_of_it_are_cloned_dropped_and_added(run):
    from pathways.evolve.mutations import add_top, clone, drop_top, layers

    directory, _ = run
    families = Families([Layouts])
    with pathways.System.open(directory, families=[Layouts]) as system:
        root = system.root
    assert layers(root, families) == ["embeddings", "block0", "block1", "norm"]
    assert [d.spec.config["submodule"] for d in clone(root, "block1").drafts_in_order()] == ["block1"]
    shorter = drop_top(drop_top(root, families), families)
    assert layers(shorter, families) == ["embeddings", "block0"]
    longer = add_top(shorter, [root], families)
    assert layers(longer, families) == ["embeddings", "block0", "block1"]
    fresh = add_top(longer, [], families)
    assert fresh.drafts_in_order().__next__().spec.config["submodule"] == "block1"


def test_where_the_root_came_from_is_kept(run):
    with pathways.System.open(run[0], families=[Layouts]) as system:
        assert system.record.source["weights"] == "checkpoint 7"
        assert system.record.source["network"].endswith("TimmViT")


def test_classes_are_passed_and_never_found_by_what_a_file_says(run):
    with pytest.raises(pathways.PathwaysError, match=r"'test_layouts'.*pass the class.*families=\[...\]"):
        pathways.System.open(run[0])


def test_a_champion_leaves_as_a_program(run, tmp_path):
    directory, before = run
    value = pictures("one").splits["test"].inputs["image"]
    with pathways.System.open(directory, families=[Layouts]) as system:
        file = system.export("one", "pt2", tmp_path / "one.pt2")
    assert torch.allclose(Program(file)(value).softmax(1), before, atol=1e-6)


def test_a_root_is_written_as_a_folder_and_named(network, tmp_path):
    root = split(seeded(Encoder), ["stem", "blocks.0", "blocks.1"][:1], images(), Nets, source="here")
    root.write(tmp_path / "letters")
    again = pathways.Root.named(str(tmp_path / "letters"))
    assert (again.path, again.blobs, again.source) == (root.path, root.blobs, root.source)
    with pathways.System.create(tmp_path / "run", root=str(tmp_path / "letters"), families=[Nets]) as system:
        assert system.record.source == root.source
        assert set(system.pool) == set(root.blobs)
    with pytest.raises(pathways.PathwaysError, match="holds other bytes than its name says"):
        pathways.Root(root.path, dict.fromkeys(root.blobs, b"")).install(pathways.Pool(tmp_path / "other"))


def test_workers_of_a_machine_train_it_to_the_same_bits(tmp_path):
    """Its blocks have dropout: the noise of a trained copy comes from its candidate, wherever it trains."""
    network, model = seeded(TorchvisionViT), {"kind": "torchvision_vit"}
    root = vision(network, images(), model=model, family=Layouts, first=True)
    task, strategy = pictures("one"), evolve.MuNet(**ROUND, rates=RATES)
    prints = []
    for engine in (None, evolve.Local(workers=1)):
        place = tmp_path / str(engine is None)
        with pathways.System.create(place, root=root, families=[Layouts], training=TRAINING, stack=1) as system:
            system.learn(task, strategy, engine)
            prints.append(system.fingerprint)
        if engine is not None:
            engine.close()
    assert prints[0] == prints[1]
