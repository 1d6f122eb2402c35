"""Deltas that change only weights, merged into the module they change."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .module import Delta, Module


def merged(host: Module, deltas: Sequence[Delta]) -> dict[str, Tensor]:
    """The tensors of `host` with `deltas` merged into its weights, in their order, for `load_state_dict`.

    Args:
        host: the module that they change; it is left as it is.
        deltas: each with nothing but `weights` (`lora`, `ia3`, `tuned_norms` and others).

    Returns:
        All parameters and buffers of the host; alone it then computes what it computed under the deltas.

    Raises:
        ValueError: a delta changes values inside or around the host, which no weights can say.

    Example:
        >>> import torch
        >>> from pathways.modules import Context, ModuleSpec, Vector, build
        >>> from pathways.modules.merge import merged
        >>> host = build(ModuleSpec("linear", {"dim": 3}), [Vector(5)], torch.Generator().manual_seed(0))
        >>> scale = build(ModuleSpec("ia3"), [], torch.Generator().manual_seed(1), host=host)
        >>> _ = torch.nn.init.constant_(scale.factors[0], 2.0)
        >>> torch.equal(merged(host, [scale])["linear.weight"], 2 * host.linear.weight)
        True
    """
    weights: dict[str, Tensor] = dict(host.named_parameters())
    for delta in deltas:
        if not delta.mergeable:
            raise ValueError(
                f"`deltas` must change weights only, found `{delta.family}`, which changes values: keep it as a delta."
            )
        weights = delta.weights(weights)
    return {name: weights.get(name, tensor).detach() for name, tensor in host.state_dict().items()}
