"""Encoders of Hugging Face's `transformers` as roots: ViT, BERT and GPT-2, block by block.

References: ViT, Dosovitskiy et al. 2021 (2010.11929); BERT, Devlin et al. 2019 (1810.04805); GPT-2, Radford et al.
2019, Language models are unsupervised multitask learners.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pathways.errors import ConfigError, PathwaysError
from pathways.modules import Ids, Image, Masked, Port, Tokens, Value, Vector
from pathways.root import Root

from .glue import FIRST
from .split import Assembly, port_after, proved, provenance
from .submodule import Submodule, first_tensor
from .trace import evaluating

_ATTENTION = ("eager", "sdpa")


class _Encoder(Submodule):
    """What the three have in common: `embeddings`, `block0` and on, and `norm` where there is one."""

    masks = True

    @classmethod
    def find(cls, network: nn.Module, name: str) -> nn.Module:
        """The part of that name in the layout of the family."""
        return cls.pieces(network)[name]

    @classmethod
    def pieces(cls, network: Any) -> dict[str, nn.Module]:
        """All parts in their order."""
        raise TypeError("`_Encoder` is abstract: use `ViT`, `Bert` or `GPT2`.")


class ViT(_Encoder):
    """A part of `transformers.ViTModel`: `embeddings` (patches, class token, positions), `block0` and on, `norm`.

    Reference: Dosovitskiy et al. 2021 (2010.11929).
    """

    family = "hf_vit"

    @staticmethod
    def build(**model: Any) -> nn.Module:
        """A `ViTModel` without pooler; `attention` is its implementation."""
        transformers = _transformers()
        return transformers.ViTModel(_config(transformers.ViTConfig, model), add_pooling_layer=False)

    @classmethod
    def pieces(cls, network: Any) -> dict[str, nn.Module]:
        """Embeddings, blocks, norm."""
        layers = network.layers if hasattr(network, "layers") else network.encoder.layer  # before transformers 5
        blocks = {f"block{i}": Block(layer, network.config) for i, layer in enumerate(layers)}
        return {"embeddings": network.embeddings, **blocks, "norm": network.layernorm}


class Bert(_Encoder):
    """A part of `transformers.BertModel`: `embeddings` (words, positions, first segment), `block0` and on.

    Reference: Devlin et al. 2019 (1810.04805).
    """

    family = "hf_bert"

    @staticmethod
    def build(**model: Any) -> nn.Module:
        """A `BertModel` without pooler; `attention` is its implementation."""
        transformers = _transformers()
        return transformers.BertModel(_config(transformers.BertConfig, model), add_pooling_layer=False)

    @classmethod
    def pieces(cls, network: Any) -> dict[str, nn.Module]:
        """Embeddings, blocks."""
        blocks = {f"block{i}": Block(layer, network.config) for i, layer in enumerate(network.encoder.layer)}
        return {"embeddings": network.embeddings, **blocks}


class GPT2(_Encoder):
    """A part of `transformers.GPT2Model`: `embeddings` (words, positions), `block0` and on (causal), `norm`.

    Reference: Radford et al. 2019, Language models are unsupervised multitask learners.
    """

    family = "hf_gpt2"

    @staticmethod
    def build(**model: Any) -> nn.Module:
        """A `GPT2Model`; `attention` is its implementation."""
        transformers = _transformers()
        nowhere = {"bos_token_id": None, "eos_token_id": None}  # of the vocabulary that GPT-2 has by default
        return transformers.GPT2Model(_config(transformers.GPT2Config, {**nowhere, **model}))

    @classmethod
    def pieces(cls, network: Any) -> dict[str, nn.Module]:
        """Embeddings, blocks, norm."""
        blocks = {f"block{i}": Block(layer, network.config, causal=True) for i, layer in enumerate(network.h)}
        return {"embeddings": WordsAndPlaces(network.wte, network.wpe), **blocks, "norm": network.ln_f}


class Block(nn.Module):
    """A layer that reads tokens and, of a variable length, which of them are real.

    Args:
        layer: called with tokens (B, L, d) and its `attention_mask` in the form that its attention takes.
        config: of the network; says which attention it has.
        causal: whether a token attends only to itself and those before it.
    """

    takes_mask = True

    def __init__(self, layer: nn.Module, config: Any, *, causal: bool = False) -> None:
        super().__init__()
        self.layer, self.causal = layer, causal
        self.eager = config._attn_implementation == "eager"

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map (B, L, d) to (B, L, d)."""
        if mask is None and not (self.causal and self.eager):  # fused attention is causal by itself without a mask
            return first_tensor(self.layer(x))
        length = x.shape[1]
        allowed = torch.ones(1, 1, length, length, dtype=torch.bool, device=x.device)
        if self.causal:
            allowed = allowed.tril()
        if mask is not None:
            # Each place may attend to itself: padding before the first real token would become NaN.
            itself = torch.eye(length, dtype=torch.bool, device=x.device)
            allowed = (allowed & mask[:, None, None, :]) | itself if self.causal else allowed & mask[:, None, None, :]
        if self.eager:
            least = torch.full((), torch.finfo(x.dtype).min, dtype=x.dtype, device=x.device)
            return first_tensor(self.layer(x, attention_mask=torch.where(allowed, torch.zeros_like(least), least)))
        return first_tensor(self.layer(x, attention_mask=allowed))


class WordsAndPlaces(nn.Module):
    """A vector for each id, and one for its place: what GPT-2 begins with, before dropout."""

    def __init__(self, words: nn.Module, places: nn.Module) -> None:
        super().__init__()
        self.words, self.places = words, places

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (B, L) to tokens (B, L, d)."""
        return self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device)[None])


def vit(network: nn.Module, *, first: bool = False, source: str = "") -> Root:
    """A `transformers.ViTModel`, or a model with one and a head, as a root; its head and pooler are left out.

    It gives the bits of `last_hidden_state`, in evaluation mode, with `sdpa` and with `eager` attention. Open systems
    on it with `families=[pathways.pretrained.ViT]`.

    Args:
        network: trained; it stays as it is.
        first: whether the path ends in the first token, as a vector; else in all of them.
        source: where the weights came from, such as the name of a checkpoint; kept with every run.

    Raises:
        PathwaysError: it is none, or gives other bits.

    Example:
        >>> from transformers import ViTModel                                       # doctest: +SKIP
        >>> root = vit(ViTModel.from_pretrained("google/vit-base-patch16-224"))     # doctest: +SKIP
        >>> system = pathways.System.create("runs/vit", root=root, families=[ViT])  # doctest: +SKIP
    """
    model, settings = _base(network, "ViTModel", "vit", (
        "image_size", "patch_size", "num_channels", "hidden_size", "num_hidden_layers", "num_attention_heads",
        "intermediate_size", "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps",
        "qkv_bias",
    ))  # fmt: skip
    size = settings["image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    port = Image(settings["num_channels"], height, width)
    pixels = torch.randn(3, port.channels, height, width, generator=torch.Generator().manual_seed(0))
    return _split(model, ViT, settings, {"image": port}, pixels, {"pixel_values": pixels}, first, source)


def bert(network: nn.Module, *, length: int | None = None, first: bool = False, source: str = "") -> Root:
    """A `transformers.BertModel`, or a model with one and a head, as a root; its head and pooler are left out.

    It gives the bits of `last_hidden_state` at real places, with `sdpa` and with `eager` attention; the mask of its
    ids is the model's `attention_mask`. All ids are of the first segment. Open systems on it with
    `families=[pathways.pretrained.Bert]`.

    Args:
        network: as in `vit`.
        length: of the ids, where all texts have one length; `None` is variable.
        first: as in `vit`.
        source: as in `vit`.
    """
    model, settings = _base(network, "BertModel", "bert", (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
        "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size",
        "layer_norm_eps", "pad_token_id",
    ))  # fmt: skip
    return _of_ids(model, Bert, settings, length, settings["max_position_embeddings"], first, source)


def gpt2(network: nn.Module, *, length: int | None = None, first: bool = False, source: str = "") -> Root:
    """A `transformers.GPT2Model`, or a model with one and a head, as a root; its head is left out.

    It gives the bits of `last_hidden_state` at real places, padding behind them, with `sdpa` and with `eager`
    attention. Open systems on it with `families=[pathways.pretrained.GPT2]`.

    Args:
        network: as in `vit`.
        length: as in `bert`.
        first: as in `vit`.
        source: as in `vit`.
    """
    model, settings = _base(network, "GPT2Model", "transformer", (
        "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function", "resid_pdrop",
        "embd_pdrop", "attn_pdrop", "layer_norm_epsilon", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
        "reorder_and_upcast_attn",
    ))  # fmt: skip
    return _of_ids(model, GPT2, settings, length, settings["n_positions"], first, source)


def _of_ids(
    model: nn.Module, family: type[_Encoder], settings: Mapping[str, Any], length: int | None, longest: int,
    first: bool, source: str,
) -> Root:
    """A root that reads ids; proved on texts of several lengths where it may vary."""
    places = min(longest, 7) if length is None else length
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, settings["vocab_size"], (3, places), generator=generator)
    inputs = {"ids": Ids(length, settings["vocab_size"])}
    if length is not None:
        return _split(model, family, settings, inputs, ids, {"input_ids": ids}, first, source)
    mask = torch.arange(places) < torch.tensor([[places], [1 + places // 2], [1]])
    given = {"input_ids": ids, "attention_mask": mask.long()}
    return _split(model, family, settings, inputs, Masked(ids, mask), given, first, source)


def _split(
    network: Any, family: type[_Encoder], settings: Mapping[str, Any], inputs: Mapping[str, Port], value: Value,
    given: Mapping[str, Tensor], first: bool, source: str,
) -> Root:
    """The parts one after another, proved against the network's last hidden state."""
    [(read, port)] = inputs.items()
    assembly = Assembly(family, settings, inputs)
    with evaluating(network):
        hidden = network(**given).last_hidden_state
        for name, piece in family.pieces(network).items():
            output = Tokens(None if port.variable else hidden.shape[1], hidden.shape[2])
            if isinstance(port, Image):
                output = Tokens(hidden.shape[1], hidden.shape[2])
            read, port = assembly.piece(name, name, piece, read, port, output), output
    found = provenance(network, family, settings, source)
    root = assembly.root(read, found)
    proved(root, family, {next(iter(inputs)): value}, hidden)
    if not first:
        return root
    if port_after(FIRST, port) != Vector(hidden.shape[2]):
        raise PathwaysError(f"`first` needs tokens, found {port}.")
    whole = assembly.root(assembly.glue(FIRST, read), found)
    proved(whole, family, {next(iter(inputs)): value}, hidden[:, 0])
    return whole


def _base(network: Any, name: str, prefix: str, keys: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """The encoder in a network with a head, and the settings that decide what it computes."""
    model = getattr(network, prefix, network)
    if type(model).__name__ != name:
        raise PathwaysError(f"`network` must be a transformers {name} or a model with one, found {type(model)}.")
    attention = model.config._attn_implementation
    if attention not in _ATTENTION:
        raise PathwaysError(
            f"`network` must have one of the attentions {list(_ATTENTION)}, found {attention!r}: load it with "
            f"`attn_implementation=\"sdpa\"`."
        )
    settings = {key: getattr(model.config, key) for key in keys}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    return model, {**plain, "attention": attention}


def _config(kind: Any, model: Mapping[str, Any]) -> Any:
    settings = dict(model)
    return kind(attn_implementation=settings.pop("attention", "sdpa"), **settings)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise ConfigError(
            "families of Hugging Face need the package transformers: pip install 'evolving-pathways[pretrained]'."
        ) from None
    return transformers


__all__ = ["GPT2", "Bert", "Block", "ViT", "WordsAndPlaces", "bert", "gpt2", "vit"]
