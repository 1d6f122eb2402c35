"""The one table of module families: a name, the file it lives in, the class."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from .near import nearest

if TYPE_CHECKING:
    from .memo import Memo
    from .module import Delta, Module

FAMILIES: dict[str, str] = {
    "adaln": "adaln:AdaLN",
    "adapter": "adapter:Adapter",
    "adapter_generator": "deltas.hyper_adapter:AdapterGenerator",
    "add": "glue_add:Add",
    "agreement": "routing.agreement:Agreement",
    "any_length": "glue_length:AnyLength",
    "as_tokens": "as_tokens:AsTokens",
    "blank": "glue_blank:Blank",
    "bottleneck": "deltas.bottleneck:Bottleneck",
    "channel_attention": "channel_attention:ChannelAttention",
    "channel_gate": "deltas.channel_gate:ChannelGate",
    "classifier": "heads:Classifier",
    "concat": "glue:Concat",
    "conditional_attention": "deltas.conditional:ConditionalAttention",
    "conditional_norm": "deltas.conditional:ConditionalNorm",
    "conditioned_router": "routing.conditioned:ConditionedRouter",
    "connector": "connector:Connector",
    "conv": "conv:Conv",
    "conv_stem": "io.conv_stem:ConvStem",
    "cosine": "io.cosine:Cosine",
    "cross_attention": "cross_attention:CrossAttention",
    "decoder": "decoder:Decoder",
    "detach": "glue:Detach",
    "dilated_conv": "dilated_conv:DilatedConv",
    "embed": "embed:Embed",
    "entropy_router": "routing.entropy:EntropyRouter",
    "events": "io.events:Events",
    "expert_memory": "routing.memory:ExpertMemory",
    "fields": "io.fields:Fields",
    "flatten": "glue:Flatten",
    "gated_attention": "gated_attention:GatedAttention",
    "hyper_adapter": "deltas.hyper_adapter:HyperAdapter",
    "hypergrid": "deltas.hypergrid:HyperGrid",
    "hypernetwork": "deltas.hypernetwork:HyperNetwork",
    "ia3": "deltas.ia3:IA3",
    "invertible": "invertible:Invertible",
    "keyed_pool": "routing.keyed_pool:KeyedPool",
    "learned_tokens": "tokens:LearnedTokens",
    "linear": "linear:Linear",
    "log_mel": "io.log_mel:LogMel",
    "lora": "deltas.lora:LoRA",
    "lora_inventory": "deltas.poly:LoRAInventory",
    "match": "match:Match",
    "mlp": "mlp:MLP",
    "modulation": "deltas.modulation:Modulation",
    "moe": "moe:MoE",
    "moe_attention": "moe_attention:MoEAttention",
    "mu_law": "io.mu_law:MuLaw",
    "mutual_router": "routing.mutual_information:MutualRouter",
    "patches": "io.patches:Patches",
    "path_router": "routing.path_router:PathRouter",
    "poly": "deltas.poly:Poly",
    "pool": "glue:Pool",
    "pool_adapter": "pool_adapter:PoolAdapter",
    "positions": "positions:Positions",
    "prefix": "deltas.prefix:Prefix",
    "quantise": "io.quantise:Quantise",
    "query": "io.query:Query",
    "regressor": "heads:Regressor",
    "residual_conv": "residual_conv:ResidualConv",
    "scale_gradient": "glue:ScaleGradient",
    "selector": "deltas.selector:Selector",
    "separable_block": "separable_conv:SeparableBlock",
    "separable_conv": "separable_conv:SeparableConv",
    "sequence": "io.sequence:SequenceHead",
    "shift_right": "glue_length:ShiftRight",
    "slice": "glue:Slice",
    "span": "io.span:Span",
    "state_space": "state_space:StateSpace",
    "tabular": "tabular:Tabular",
    "tags": "io.tags:Tags",
    "task_token": "io.task_token:TaskToken",
    "topk_router": "routing.noisy_topk:TopKRouter",
    "transformer": "transformer:Transformer",
    "tuned_norms": "deltas.tuned_norms:TunedNorms",
    "weight_generator": "deltas.hypernetwork:WeightGenerator",
}


class Families:
    """The families that specs may name: the built-in ones and those the user passes.

    Names found in files are looked up here and nowhere else, so that no file can make us import code.

    Args:
        extra: subclasses of `Module` or `Delta`, each with a `family` name that is not taken.
        memo: facts that were worked out before, for a process that only looks at paths; built-in families only.

    Raises:
        ValueError: a class has no `family`, or its name is taken; a memo with classes of your own.
    """

    def __init__(self, extra: Iterable[type[Module] | type[Delta]] = (), memo: Memo | None = None) -> None:
        self._classes: dict[str, type[Module] | type[Delta]] = {}
        self.extra = tuple(extra)
        self.memo = memo
        if self.extra and memo is not None:
            raise ValueError("`memo` must be of built-in families only, found it with others: leave it out.")
        for cls in self.extra:
            if not cls.family or cls.family in FAMILIES or cls.family in self._classes:
                raise ValueError(
                    f"`families`: {cls.__name__} needs a `family` name that is not taken, found {cls.family!r}."
                )
            self._classes[cls.family] = cls

    def __getitem__(self, name: str) -> type[Module] | type[Delta]:
        if name not in self._classes:
            if name not in FAMILIES:
                known = self.names()
                near = nearest(name, known, 3) or known[:3]
                raise ValueError(
                    f"`family` must be one of the {len(known)} that are known, such as {near}, found {name!r}: pass "
                    f"the class that defines it when you open the system (families=[...], --families for commands)."
                )
            file, cls = FAMILIES[name].split(":")
            self._classes[name] = getattr(import_module(f".{file}", __package__), cls)
        return self._classes[name]

    def names(self) -> list[str]:
        """All family names, sorted."""
        return sorted({*FAMILIES, *self._classes})


BUILT_IN = Families()
