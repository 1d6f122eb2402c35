"""Fused experts: what a mixture does under one condition, as one network, made once for each condition."""

from __future__ import annotations

import torch
from torch import Tensor

from .context import Context
from .moe import MoE
from .ports import Port


@torch.no_grad()
def fused(module: MoE, port: Port, condition: Tensor) -> MoE:
    """The mixture under one condition, as a mixture of one expert: no gate chooses, and nothing is computed twice.

    Experts that run side by side are one network: `sum_e g_e down_e(act(up_e(x))) = down(act(up(x)))` with the hidden
    numbers of all in one row, and each `down_e` times its weight `g_e`.

    Args:
        module: a mixture with experts of its own, whose gate reads the condition alone.
        port: its first input port.
        condition: the condition, as the gate reads it: (1, c).

    Returns:
        A mixture of one expert, with the same output on every input, to rounding.

    Raises:
        ValueError: experts are parts, or the gate reads its input.

    Example:
        >>> from pathways.modules import Context, ModuleSpec, Tokens, Vector, build
        >>> port, level = Tokens(3, 8), torch.tensor([[0.3]])
        >>> sizes = {"experts": 4, "k": 2}
        >>> module = build(ModuleSpec("moe", sizes), [port, Vector(1)], torch.Generator().manual_seed(0)).eval()
        >>> x = torch.ones(2, 3, 8)
        >>> routed, one = module(x, level, context=Context()), fused(module, port, level)(x, context=Context())
        >>> torch.allclose(routed, one, atol=1e-5)
        True
    """
    experts = module.experts
    if experts is None or module.gate != "condition":
        found = "parts" if experts is None else f"the gate {module.gate!r}"
        raise ValueError(f"`module` must have experts of its own and the gate 'condition', found {found}.")
    router = module.router
    training = router.training
    weights = router.eval()(condition, context=Context())[0]
    router.train(training)
    chosen = [int(e) for e in weights.nonzero().flatten()]
    before, after = experts.biases()
    one = MoE(
        (port,), experts=1, k=1, hidden=len(chosen) * experts.up.shape[1], dim=module.dim, activation=experts.kind,
        balance=0.0, residual=module.norm is not None,
    ).to(experts.up.device)
    tensors = {
        "experts.up": torch.cat([experts.up[e] for e in chosen])[None],
        "experts.down": torch.cat([weights[e] * experts.down[e] for e in chosen], 1)[None],
        "experts.up_bias": torch.cat([before[e] for e in chosen]),
        "experts.down_bias": torch.stack([weights[e] * after[e] for e in chosen]).sum(0),
        "own.gate.weight": torch.zeros_like(one.get_parameter("own.gate.weight")),
        "own.noise.weight": torch.zeros_like(one.get_parameter("own.noise.weight")),
    }
    if module.norm is not None:
        tensors |= {f"norm.{name}": tensor for name, tensor in module.norm.state_dict().items()}
    one.load_state_dict(tensors)
    return one.eval().requires_grad_(False)


class FusedByCondition:
    """The fused mixture of each condition, made when it is first asked for and kept.

    Args:
        module, port: see `fused`.
    """

    def __init__(self, module: MoE, port: Port) -> None:
        self.module, self.port = module, port
        self.kept: dict[tuple[float, ...], MoE] = {}

    def at(self, condition: Tensor) -> MoE:
        """The mixture under a condition (1, c)."""
        key = tuple(condition.flatten().tolist())
        if key not in self.kept:
            self.kept[key] = fused(self.module, self.port, condition)
        return self.kept[key]
