"""Encoders for each input, and one decoder that all tasks share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pathways.modules import Port
from pathways.path import Path

from .layout import ANY_LENGTH, POOL, Encoders, Layout, Said, block_of

CAUSAL: Said = {"family": "transformer", "config": {"heads": 4, "ff": 2, "causal": True}}


def task_queries(
    inputs: Mapping[str, Port], *, task: str = "task", dim: int = 32, encoder_layers: int = 1, layers: int = 2,
    queries: int = 4, heads: int = 4, block: Said | None = None, encoders: Encoders | None = None,
) -> Path:
    """`Dec(q_task, [Enc_a(x_a); Enc_b(x_b)])`: a task's own queries ask what the encoders of its inputs have found.

    Each decoder layer lets the queries attend to one another, then to what was encoded. Encoders are called after
    inputs and the decoder's modules after nothing, so that paths of several tasks, trained together, share them; only
    the queries are a task's own.

    Args:
        inputs: the port of each input that the task has.
        task: what is the task's own is called after it.
        dim: numbers in each token.
        encoder_layers: of each input's encoder.
        layers: of the decoder.
        queries: how many.
        heads: attention heads of the usual block.
        block: the module of a layer, which reads one value or two; a transformer block when not given.
        encoders: by input, what makes tokens of it, as plain data.

    Example:
        >>> from pathways.modules import Image, Ids
        >>> sees = task_queries({"image": Image(1, 8, 8)}, task="sees", dim=8)
        >>> answers = task_queries({"image": Image(1, 8, 8), "text": Ids(5, 20)}, task="answers", dim=8)
        >>> sorted(set(sees.drafts()) - set(answers.drafts()))
        ['sees.asked', 'sees.memory', 'sees.queries']

    Reference: Hu and Singh 2021, UniT (2102.10772), section 3.
    """
    lay = Layout(inputs, block_of(block, heads), dim, encoders)
    encoded = [lay.layers(f"{name}.layer", encoder_layers, lay.encoded(name)) for name in inputs]
    # The decoder may be one module in paths of several tasks: it reads any number of queries and of encoded tokens.
    memory = lay.add(f"{task}.memory", ANY_LENGTH, lay.joined(f"{task}.together", encoded))
    own = lay.add(f"{task}.queries", {"family": "learned_tokens", "config": {"length": queries, "dim": dim}})
    last = lay.add(f"{task}.asked", ANY_LENGTH, own)
    for i in range(1, layers + 1):
        last = lay.add(f"ask{i}", lay.block, lay.add(f"talk{i}", lay.block, last), memory)
    return lay.path(lay.add("pooled", POOL, last))


def mixed_decoder(
    inputs: Mapping[str, Port], *, answers: str | None = None, task: str = "task", dim: int = 32,
    encoder: Sequence[Said] = (), mixer: Sequence[Said] = (CAUSAL,), decoder: Sequence[Said] = (CAUSAL,),
    heads: int = 4, encoders: Encoders | None = None,
) -> Path:
    """An encoder, a mixer of what it found with the answers so far, a decoder: `dec(mix(enc(x), shift(y)), enc(x))`.

    Each body is a list of slots, any families that keep the length and dim of tokens; a slot with `reads: encoded`
    attends to the encoder's tokens as a second input. The task's token starts the answers, which are shifted to the
    right, so that with causal slots no place sees what it is to give. Without `answers` the task's token alone is
    decoded.

    Args:
        inputs: the port of each input.
        answers: the input that holds previous outputs, if any.
        task: what the task's token is called.
        dim: numbers in each token.
        encoder: the slots of the encoder; a transformer block when not given.
        mixer: the slots that mix, before one that attends to what was encoded.
        decoder: the slots of the decoder, before one that attends to what was encoded.
        heads: attention heads of the blocks that attend to what was encoded.
        encoders: by input, what makes tokens of it, as plain data.

    Example:
        >>> from pathways.modules import Image, Ids
        >>> path = mixed_decoder({"image": Image(1, 8, 8), "words": Ids(6, 20)}, answers="words", dim=8)
        >>> path.ports()["decoded"]
        Tokens(length=6, dim=8)

    Reference: Kaiser et al. 2017, MultiModel (1706.05137), section 2.
    """
    if answers is not None and answers not in inputs:
        raise ValueError(f"`answers` must be one of the inputs {list(inputs)}, found {answers!r}")
    lay = Layout(inputs, block_of(None, heads), dim, encoders)
    read = [lay.encoded(name) for name in inputs if name != answers]
    if not read:
        raise ValueError(f"`inputs` must hold one beside `answers`, found {list(inputs)}")
    encoded = _slots(lay, "encoder", encoder or [lay.block], lay.joined("together", read), "")
    token = lay.add("task", {"family": "learned_tokens", "config": {"length": 1, "dim": dim}}, module=f"task/{task}")
    last = token
    if answers is not None:
        last = lay.add("shifted", {"family": "shift_right"}, lay.encoded(answers), token)
    last = lay.add("mixed", lay.block, _slots(lay, "mixer", mixer, last, encoded), encoded)
    last = lay.add("decoded", lay.block, _slots(lay, "decoder", decoder, last, encoded), encoded)
    return lay.path(lay.add("pooled", POOL, last))


def _slots(lay: Layout, name: str, slots: Sequence[Said], read: str, encoded: str) -> str:
    """Slots one behind the other; those that say so read the encoder's tokens, too."""
    for i, slot in enumerate(slots, 1):
        said = {key: value for key, value in slot.items() if key != "reads"}
        if slot.get("reads", "encoded") != "encoded" or ("reads" in slot and not encoded):
            raise ValueError(f"`reads` of a slot behind the encoder must be 'encoded', found {slot['reads']!r}")
        read = lay.add(f"{name}{i}", said, read, *([encoded] if "reads" in slot else []))
    return read


__all__ = ["mixed_decoder", "task_queries"]
