"""ResNets and vision transformers in the layouts of torchvision and timm as roots.

References: ResNet, He et al. 2016 (1512.03385); ViT, Dosovitskiy et al. 2021 (2010.11929).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pathways.errors import ConfigError, PathError
from pathways.modules import Image, Port, Tokens
from pathways.root import Root

from .glue import FIRST, between, port_of
from .split import Assembly, port_after, proved, provenance
from .submodule import Submodule
from .trace import evaluating, traced


class Vision(Submodule):
    """A part of a ResNet or ViT of torchvision or timm.

    | layout | parts |
    |---|---|
    | ResNet | `stem` (convolution, norm, activation, pooling), `layer1.0` and all other residual blocks |
    | ViT | `embeddings` (patches, class token, positions), `block0` and on, `norm` |

    Inherit it with a `family` name and a `build` of your own for networks of one of these layouts from elsewhere.

    References: He et al. 2016 (1512.03385); Dosovitskiy et al. 2021 (2010.11929).
    """

    family = "vision"

    @staticmethod
    def build(*, library: str, name: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:  # type: ignore[override]
        """The network of that name, `torchvision.models.get_model` or `timm.create_model`, with those arguments."""
        if library not in ("torchvision", "timm"):
            raise ConfigError(f"`library` must be 'torchvision' or 'timm', found {library!r}.")
        try:
            if library == "timm":
                import timm  # type: ignore[import-not-found]

                return timm.create_model(name, pretrained=False, **(arguments or {}))
            import torchvision  # type: ignore[import-not-found]

            return torchvision.models.get_model(name, weights=None, **(arguments or {}))
        except ImportError:
            raise ConfigError(f"network {name!r} needs the package {library}: pip install {library}.") from None

    @classmethod
    def find(cls, network: nn.Module, name: str) -> nn.Module:
        """The part of that name in the network's layout, or its submodule of that name."""
        found = pieces(network)
        return found[name] if name in found else network.get_submodule(name)


class TorchvisionEmbeddings(nn.Module):
    """Patches, class token and positions of torchvision's `VisionTransformer`."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.patches, self.class_token = network.conv_proj, network.class_token
        self.positions, self.dropout = network.encoder.pos_embedding, network.encoder.dropout

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, height, width) to (B, 1 + patches, d)."""
        tokens = self.patches(x).flatten(2).permute(0, 2, 1)
        tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), tokens], dim=1)
        return self.dropout(tokens + self.positions)


class TimmEmbeddings(nn.Module):
    """Patches, class and register tokens and positions of timm's `VisionTransformer`."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.patches, self.positions = network.patch_embed, network.pos_embed
        self.class_token = getattr(network, "cls_token", None)
        self.registers = getattr(network, "reg_token", None)
        self.dropout, self.before = getattr(network, "pos_drop", nn.Identity()), getattr(network, "norm_pre", None)
        self.patches_only = bool(getattr(network, "no_embed_class", False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, height, width) to (B, class and registers + patches, d)."""
        tokens = self.patches(x)
        own = [t.expand(x.shape[0], -1, -1) for t in (self.class_token, self.registers) if t is not None]
        if self.positions is None or self.patches_only:
            tokens = tokens if self.positions is None else tokens + self.positions
            tokens = torch.cat([*own, tokens], dim=1) if own else tokens
        else:
            tokens = (torch.cat([*own, tokens], dim=1) if own else tokens) + self.positions
        tokens = self.dropout(tokens)
        return tokens if self.before is None else self.before(tokens)


def pieces(network: Any) -> dict[str, nn.Module]:
    """The parts of a ResNet or ViT in their order, by the attributes that torchvision and timm give them.

    Raises:
        PathError: it has the attributes of neither.
    """
    if all(hasattr(network, name) for name in ("conv1", "bn1", "layer1", "layer4")):
        activation = network.relu if hasattr(network, "relu") else network.act1
        found: dict[str, nn.Module] = {"stem": nn.Sequential(network.conv1, network.bn1, activation, network.maxpool)}
        for layer in ("layer1", "layer2", "layer3", "layer4"):
            found |= {f"{layer}.{i}": block for i, block in enumerate(getattr(network, layer))}
        return found
    if hasattr(network, "conv_proj") and hasattr(network, "encoder"):
        blocks = {f"block{i}": block for i, block in enumerate(network.encoder.layers)}
        return {"embeddings": TorchvisionEmbeddings(network), **blocks, "norm": network.encoder.ln}
    if all(hasattr(network, name) for name in ("patch_embed", "pos_embed", "blocks", "norm")):
        blocks = {f"block{i}": block for i, block in enumerate(network.blocks)}
        return {"embeddings": TimmEmbeddings(network), **blocks, "norm": network.norm}
    raise PathError(
        f"`network` must be a ResNet or ViT in the layout of torchvision or timm, found {type(network)}: split it by "
        f"the names of its submodules with `pathways.pretrained.split`."
    )


def vision(
    network: nn.Module, batch: Tensor, *, model: Mapping[str, Any], family: type[Vision] = Vision,
    first: bool = False, source: str = "",
) -> Root:
    """A ResNet or ViT of torchvision or timm as a root: its blocks, bit for bit; the head is left out.

    A ResNet ends in the mean over its last feature map, where its head begins; a ViT in all its tokens after the last
    norm. Open systems on it with the family.

    Args:
        network: trained; it stays as it is.
        batch: at least two images (B, channels, height, width) of the size that it is to read.
        model: what `build` makes it of, such as `{"library": "timm", "name": "resnet18"}`.
        family: yours, for networks from elsewhere.
        first: whether the path of a ViT ends in the first token, as a vector; else in all of them.
        source: where the weights came from, such as the name of a checkpoint; kept with every run.

    Raises:
        PathError: it has another layout, or gives other bits than `build(**model)` with its weights.

    Example:
        >>> import torchvision                                                                # doctest: +SKIP
        >>> network = torchvision.models.resnet18(weights="DEFAULT")                          # doctest: +SKIP
        >>> root = vision(network, images, model={"library": "torchvision", "name": "resnet18"})  # doctest: +SKIP
        >>> system = pathways.System.create("runs/resnet", root=root, families=[Vision])      # doctest: +SKIP
    """
    if batch.ndim != 4 or len(batch) < 2:
        raise PathError(f"`batch` must be at least two images (B, channels, height, width), found {batch.shape}.")
    found = pieces(network)
    norm = next((name for name in ("encoder.ln", "norm") if "norm" in found and _has(network, name)), None)
    last, features = _features(network, batch, norm)
    read: str = "image"
    port: Port = Image(*batch.shape[1:])
    assembly, value = Assembly(family, model, {"image": port}), batch
    with evaluating(network):
        for name, piece in found.items():
            value = piece(value.clone())
            output = port_of(value, f"the output of {name!r}")
            read, port = assembly.piece(name, name, piece, read, port, output), output
    behind = between(value, port, features)
    if behind is None:
        raise PathError(
            f"the parts of `network` must give what {last} has, to the bit, found other values: it computes something "
            f"between them; split it by the names of its submodules with `pathways.pretrained.split`."
        )
    read, port = assembly.glue(behind, read), port_after(behind, port)
    if first and isinstance(port, Tokens):
        read, features = assembly.glue(FIRST, read), features[:, 0]
    root = assembly.root(read, provenance(network, family, model, source))
    proved(root, family, {"image": batch}, features)
    return root


def _features(network: nn.Module, batch: Tensor, norm: str | None) -> tuple[str, Tensor]:
    """What a ViT has after its last norm, or what a ResNet's head reads."""
    if norm is not None:
        [call], _ = traced(network, [norm], batch)
        return f"submodule {norm!r}", call.output
    for name in ("fc", "head", "classifier"):
        if _has(network, name) and not isinstance(network.get_submodule(name), nn.Identity):
            [call], _ = traced(network, [name], batch)
            return f"submodule {name!r}", call.given
    _, result = traced(network, ["layer4"], batch)
    return "the network", result


def _has(network: nn.Module, name: str) -> bool:
    return any(known == name for known, _ in network.named_modules())


__all__ = ["TimmEmbeddings", "TorchvisionEmbeddings", "Vision", "pieces", "vision"]
