import pytest
import torch
from pretrained_networks import Layouts, ResNet, TimmViT, TorchvisionViT, assembled, images, seeded
from torch import nn

from pathways.errors import ConfigError, PathError
from pathways.modules import Families, Tokens, Vector
from pathways.pretrained import Vision, vision

KINDS = {
    "torchvision-resnet": (ResNet, {"kind": "resnet"}),
    "timm-resnet": (ResNet, {"kind": "resnet", "timm": True}),
    "torchvision-vit": (TorchvisionViT, {"kind": "torchvision_vit"}),
    "timm-vit": (TimmViT, {"kind": "timm_vit"}),
    "timm-vit-registers": (TimmViT, {"kind": "timm_vit", "registers": 2}),
    "timm-vit-no-embed-class": (TimmViT, {"kind": "timm_vit", "registers": 1, "no_embed_class": True}),
}


def replica(kind):
    cls, model = KINDS[kind]
    return seeded(cls, **{key: value for key, value in model.items() if key != "kind"}).eval(), model


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_on_the_path_gives_the_networks_scores(kind):
    """The whole check: the network's own head on what the path gives is the network, to the bit, for other images."""
    network, model = replica(kind)
    root = vision(network, images(), model=model, family=Layouts, first="vit" in kind)
    head = network.fc if "resnet" in kind else network.heads if kind == "torchvision-vit" else network.head
    with torch.no_grad():
        for batch in (images(1, seed=3), images(6, seed=4)):
            assert torch.equal(head(assembled(root, Layouts)({"image": batch})), network(batch))


@pytest.mark.parametrize(("kind", "steps"), [
    ("torchvision-resnet", ["stem", "layer1.0", "layer1.1", "layer2.0", "layer3.0", "layer4.0", "layer4.0.pool"]),
    ("timm-resnet", ["stem", "layer1.0", "layer1.1", "layer2.0", "layer3.0", "layer4.0", "layer4.0.pool"]),
    ("torchvision-vit", ["embeddings", "block0", "block1", "norm"]),
    ("timm-vit", ["embeddings", "block0", "block1", "norm"]),
])  # fmt: skip
def test_blocks_are_steps(kind, steps):
    network, model = replica(kind)
    root = vision(network, images(), model=model, family=Layouts)
    assert list(root.path.steps) == steps
    port = root.path.ports(Families([Layouts]))[root.path.output]
    assert port == (Vector(8) if "resnet" in kind else Tokens(17, 8))
    assert {step.modules[0].spec.family for step in root.path.steps.values()} <= {"test_layouts", "pool"}


def test_other_layouts_are_refused():
    with pytest.raises(PathError, match=r"ResNet or ViT in the layout of torchvision or timm.*pretrained.split"):
        vision(nn.Linear(2, 2), images(), model={}, family=Layouts)
    with pytest.raises(PathError, match="at least two images"):
        vision(seeded(ResNet), images(1), model={"kind": "resnet"}, family=Layouts)


def test_a_network_that_computes_more_than_its_layout_is_refused():
    class Scaled(TimmViT):
        def forward(self, x):
            return super().forward(2 * x)

    with pytest.raises(PathError, match=r"the parts of `network` must give what submodule 'norm' has, to the bit"):
        vision(seeded(Scaled), images(), model={"kind": "timm_vit"}, family=Layouts)


def test_the_package_of_a_network_is_asked_for():
    with pytest.raises(ConfigError, match="`library` must be 'torchvision' or 'timm', found 'keras'"):
        Vision.build(library="keras", name="resnet18")


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16"])
def test_networks_of_torchvision(name):
    torchvision = pytest.importorskip("torchvision", reason="torchvision has no build for the torch of these tests")
    network = torchvision.models.get_model(name, weights=None)
    batch = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    root = vision(network, batch, model={"library": "torchvision", "name": name}, first=True)
    assert assembled(root, Vision)({"image": batch}).shape[0] == 2


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_networks_of_timm(name):
    timm = pytest.importorskip("timm", reason="timm needs torchvision, which has no build for the torch of these tests")
    network = timm.create_model(name, pretrained=False)
    batch = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    root = vision(network, batch, model={"library": "timm", "name": name}, first=True)
    assert assembled(root, Vision)({"image": batch}).shape[0] == 2
