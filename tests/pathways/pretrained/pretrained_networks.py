"""Networks of users for the tests of splitting: each a constructor that knows nothing of paths, and its family."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.pretrained import Submodule, Vision


class Residual(nn.Module):
    """A block of two convolutions, as ResNets have it."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Add what two convolutions make of x to x."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet(nn.Module):
    """The attributes of torchvision's ResNet; `timm` names the activation and the pooling as timm does."""

    def __init__(self, width: int = 4, timm: bool = False, classes: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        setattr(self, "act1" if timm else "relu", nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        sizes = [width, width, 2 * width, 2 * width, 2 * width]
        for i in range(4):
            blocks = [Residual(sizes[i], sizes[i + 1], 2 if i == 1 else 1), Residual(sizes[i + 1], sizes[i + 1])]
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks[: 2 if i == 0 else 1]))
        setattr(self, "global_pool" if timm else "avgpool", nn.AdaptiveAvgPool2d(1))
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of an image."""
        activation = self.act1 if hasattr(self, "act1") else self.relu
        pool = self.global_pool if hasattr(self, "global_pool") else self.avgpool
        x = self.maxpool(activation(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(pool(x), 1))


class TorchvisionBlock(nn.Module):
    """A block with torch's own attention, as torchvision has it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(dim, 2, dropout=0.1, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """Attend, then map each token."""
        y = self.ln_1(x)
        x = x + self.self_attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TorchvisionViT(nn.Module):
    """The attributes of torchvision's VisionTransformer."""

    def __init__(self, dim: int = 8, depth: int = 2, classes: int = 3) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(1, dim, 7, 7)
        self.class_token = nn.Parameter(torch.randn(1, 1, dim))
        self.encoder = nn.Module()
        self.encoder.pos_embedding = nn.Parameter(torch.randn(1, 17, dim))
        self.encoder.dropout = nn.Dropout(0.1)
        self.encoder.layers = nn.Sequential()
        for i in range(depth):
            self.encoder.layers.add_module(f"encoder_layer_{i}", TorchvisionBlock(dim))
        self.encoder.ln = nn.LayerNorm(dim, eps=1e-6)
        self.heads = nn.Sequential(nn.Linear(dim, classes))

    def forward(self, x: Tensor) -> Tensor:
        """Scores of an image."""
        n, dim = len(x), self.class_token.shape[2]
        x = self.conv_proj(x).reshape(n, dim, -1).permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1) + self.encoder.pos_embedding
        x = self.encoder.ln(self.encoder.layers(self.encoder.dropout(x)))
        return self.heads(x[:, 0])


class TimmAttention(nn.Module):
    """Attention with one projection for query, key and value."""

    def __init__(self, dim: int, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class TimmBlock(nn.Module):
    """A block, as timm has it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.attn = nn.LayerNorm(dim), nn.LayerNorm(dim), TimmAttention(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Attend, then map each token."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TimmPatches(nn.Module):
    """Patches as tokens."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, dim, 7, 7)

    def forward(self, x: Tensor) -> Tensor:
        """Map an image to tokens."""
        return self.proj(x).flatten(2).transpose(1, 2)


class TimmViT(nn.Module):
    """The attributes of timm's VisionTransformer; `registers` and `no_embed_class` are options that it has."""

    def __init__(self, dim: int = 8, depth: int = 2, registers: int = 0, no_embed_class: bool = False) -> None:
        super().__init__()
        self.patch_embed = TimmPatches(dim)
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim))
        self.reg_token = nn.Parameter(torch.randn(1, registers, dim)) if registers else None
        self.no_embed_class = no_embed_class
        self.pos_embed = nn.Parameter(torch.randn(1, 16 + (0 if no_embed_class else 1 + registers), dim))
        self.pos_drop, self.norm_pre = nn.Dropout(0.1), nn.Identity()
        self.blocks = nn.Sequential(*(TimmBlock(dim) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of an image."""
        x = self.patch_embed(x)
        front = [t.expand(len(x), -1, -1) for t in (self.cls_token, self.reg_token) if t is not None]
        if self.no_embed_class:
            x = torch.cat([*front, x + self.pos_embed], dim=1)
        else:
            x = torch.cat([*front, x], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(self.norm_pre(self.pos_drop(x))))[:, 0])


class Places(nn.Module):
    """Adds a vector for each place, found by a buffer that is not saved; gives a tuple."""

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Embedding(length, dim)
        self.register_buffer("places", torch.arange(length)[None], persistent=False)

    def forward(self, x: Tensor) -> tuple[None, Tensor, float]:
        """The tokens at their places, between other things."""
        return None, x + self.table(self.places), 1.0


class Encoder(nn.Module):
    """A small encoder of images with weightless code between its parts; `skip` adds what no path can tell."""

    def __init__(self, dim: int = 8, pool: str = "mean", skip: str = "", rates: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, dim, 7, 7), nn.BatchNorm2d(dim))
        self.places = Places(16, dim)
        self.relu = nn.ReLU(inplace=True)
        self.blocks = nn.Sequential(*(TimmBlock(dim) for _ in range(2)))
        self.drop = nn.Dropout(0.5)
        self.norm = nn.LayerNorm(dim)
        self.last = nn.Linear(dim, dim)
        self.pool, self.skip = pool, skip
        # Asks for numbers while it is made, as stochastic depth does: there are none on the meta device.
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)] if rates else []

    def forward(self, x: Tensor) -> Tensor:
        """A vector for an image."""
        x = self.stem(x).flatten(2).transpose(1, 2)
        tokens = self.relu(self.places(x)[1])
        if self.skip == "code":
            tokens = torch.tanh(tokens)
        y = self.drop(self.blocks(tokens))
        if self.skip == "residual":
            y = y + tokens
        y = self.norm(y)
        if self.skip == "twice":
            y = self.norm(y)
        return self.last({"mean": y.mean(1), "max": y.amax(1), "first": y[:, 0], "last": y[:, -1]}[self.pool])


class Nets(Submodule):
    """A part of `Encoder`."""

    family = "test_encoder"

    @staticmethod
    def build(**model: Any) -> nn.Module:
        """The encoder."""
        return Encoder(**model)


class Layouts(Vision):
    """A part of one of the replicas of torchvision's and timm's layouts."""

    family = "test_layouts"

    @staticmethod
    def build(*, kind: str, **model: Any) -> nn.Module:  # type: ignore[override]
        """The replica of that kind."""
        return {"resnet": ResNet, "torchvision_vit": TorchvisionViT, "timm_vit": TimmViT}[kind](**model)


def seeded(build: Any, seed: int = 0, **model: Any) -> nn.Module:
    """A network whose weights and running statistics are those of a trained one: nowhere as they begin."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: nn.Module = build(**model)
        tensors: Iterable[Tensor] = [*network.parameters(), *network.buffers()]
        with torch.no_grad():
            for tensor in tensors:
                if tensor.is_floating_point():
                    tensor.copy_(tensor + 0.1 * torch.rand(tensor.shape))
    return network


def images(batch: int = 4, seed: int = 1) -> Tensor:
    """Images (batch, 1, 28, 28)."""
    return torch.randn(batch, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def assembled(root: Any, *families: type[Submodule]) -> nn.Module:
    """The path of a root, from its blobs."""
    from pathways.assemble import PathModule
    from pathways.modules import Families
    from pathways.pool import decode

    return PathModule(root.path, lambda ref: decode(root.blobs[ref.id]), Families(families)).eval()
