"""Input nets and heads in whole paths: the presets they ship in do what their papers say."""

from __future__ import annotations

import torch
from tiny import seeded

from pathways.assemble import PathModule
from pathways.data.vocabulary import Vocabulary
from pathways.evolve.paths import with_head
from pathways.modules import Context, Ids, Init, Masked, ModuleRef, Tokens, Value
from pathways.modules.ports import example
from pathways.path import Path
from pathways.preset import preset
from pathways.seeds import torch_generator
from pathways.task import Classes, Sequences, Spans, Split, Task
from pathways.trainer.evaluate import loss_of


def model(path: Path) -> PathModule:
    """The path with weights that only its drafts' names decide, so that paths share what they have in common."""
    def weights(ref: ModuleRef) -> torch.Generator:
        assert isinstance(ref.start, Init)  # type: ignore[union-attr]
        return torch_generator("weights", ref.name)  # type: ignore[union-attr]

    return PathModule(path, weights).eval()


def inputs_of(path: Path, batch: int = 3) -> dict[str, Value]:
    generator = seeded(1)
    return {name: example(port, batch, generator) for name, port in path.inputs.items()}


def test_t8_every_modality_becomes_tokens_of_one_dim() -> None:
    path = preset("modality-nets")
    ports = path.ports()
    nets = ("words", "pixels", "sounds", "fields")
    assert [ports[name] for name in nets] == [Tokens(12, 16), Tokens(49, 16), Tokens(13, 16), Tokens(3, 16)]
    assert ports["joined"] == Tokens(12 + 49 + 13 + 3, 16)
    values = model(path).compute(inputs_of(path), nets)
    assert [tuple(values[name].shape) for name in nets] == [(3, n, 16) for n in (12, 49, 13, 3)]  # type: ignore[union-attr]


def test_b4_the_exit_flow_is_a_convolution_and_an_average() -> None:
    path = with_head(preset("conv-entry"), Classes(5))
    assert list(path.steps) == ["entry", "exit", "pooled", "head"]
    values = model(path).compute(inputs_of(path), ("exit", "pooled"))
    torch.testing.assert_close(values["pooled"], values["exit"].mean((2, 3)))  # type: ignore[union-attr]


def test_t21_the_two_rates_differ_by_their_factor() -> None:
    ports = preset("two-rate-audio").ports()
    slow, fast = ports["slow"], ports["fast"]
    assert isinstance(slow, Tokens)
    assert isinstance(fast, Tokens)
    assert (slow.length - 1) * 4 == fast.length - 1 == 64
    path = preset("two-rate-audio")
    net, given = model(path), inputs_of(path)
    before = net.compute(given, ("slow1", "lateral"))
    changed = net.compute({**given, "fast": torch.zeros(3, 65, 20)}, ("slow1", "lateral"))
    assert torch.equal(before["slow1"], changed["slow1"])  # type: ignore[arg-type]
    assert not torch.equal(before["lateral"], changed["lateral"])  # type: ignore[arg-type]


def test_t11_places_of_an_image_carry_no_loss() -> None:
    words = Vocabulary(values=63)
    samples = [{"text": "abc", "discrete": [1, 2], "actions": [0.5, -0.5, 0.1, 0.2]}] * 2
    ids, targets = words.sequences(samples, before=4 + 4)  # four patches and four observed numbers
    path = with_head(preset("serialised"), Sequences(words.size))
    assert isinstance(path.inputs["ids"], Ids)
    assert path.inputs["ids"].vocabulary == words.size
    split = Split({**{n: v[:2] for n, v in inputs_of(path).items()}, "ids": ids.value}, targets)  # type: ignore[index]
    task = Task("act", path.inputs, Sequences(words.size), {"train": split, "validation": split}, allow_duplicates=True)
    outputs = model(path)(split.inputs)
    assert isinstance(outputs, torch.Tensor)
    outputs.retain_grad()
    loss_of(task, outputs, targets).backward()
    felt = outputs.grad.abs().sum(2) > 0  # type: ignore[union-attr]
    assert torch.equal(felt, targets != -100)
    assert not felt[:, :8].any()
    assert felt.sum(1).tolist() == [2 + 4] * 2  # what follows the first letter, and the actions


def test_b16_a_wrong_head_changes_nothing_but_the_scores_and_gradients_of_the_trunk_add_up() -> None:
    trunk = preset("mlp")
    paths = [with_head(trunk, Classes(n), f"head{n}") for n in (3, 5)]
    nets, x = [model(path) for path in paths], torch.randn(6, 16, generator=seeded(0))
    features = [net.compute({"x": x}, (trunk.output,))[trunk.output] for net in nets]
    assert torch.equal(*features)  # type: ignore[arg-type]
    assert [tuple(net(x).shape) for net in nets] == [(6, 3), (6, 5)]  # type: ignore[union-attr]

    def gradients(which: list[int]) -> dict[str, torch.Tensor]:
        drafts: dict[str, torch.nn.Module] = {}
        shared: dict[str, torch.Tensor] = {}
        held: dict[str, torch.nn.Module] = {}
        both = [PathModule(p, lambda ref: torch_generator("weights", ref.name), shared=held) for p in paths]  # type: ignore[union-attr]
        for net in both:
            drafts |= net.drafts()
        losses = [net(x).square().mean() for net in both]  # type: ignore[union-attr]
        torch.stack([losses[i] for i in which]).sum().backward()
        for name, draft in drafts.items():
            shared |= {f"{name}.{n}": p.grad for n, p in draft.named_parameters() if p.grad is not None}
        return shared

    first, second, together = gradients([0]), gradients([1]), gradients([0, 1])
    assert set(first) & set(second)
    for name, gradient in together.items():
        parts = [g[name] for g in (first, second) if name in g]
        torch.testing.assert_close(gradient, torch.stack(parts).sum(0))
        assert len(parts) == (1 if name.startswith("head") else 2)


def test_t44_a_head_teaches_the_trunk_through_its_own_token() -> None:
    path = with_head(preset("task-tokens"), Classes(2))
    net, given = model(path), inputs_of(path)
    read = net.compute(given, ("read",))["read"].detach().requires_grad_()  # type: ignore[union-attr]
    outputs = net({**given, "read": read})
    outputs.square().sum().backward()  # type: ignore[union-attr]
    assert [bool(read.grad[:, i].any()) for i in range(3)] == [False, True, False]
    outputs = net(given)
    outputs.square().sum().backward()  # type: ignore[union-attr]
    tokens = net.module_of(path.steps["tokens"].modules[0]).tokens
    assert [bool(row.any()) for row in tokens.grad] == [False, True, False]  # type: ignore[union-attr]
    assert all(bool(p.grad.any()) for p in net.module_of(path.steps["block"].modules[0]).parameters())


def test_t27_a_reader_points_into_its_passage() -> None:
    path = with_head(preset("reader"), Spans(40))
    passage = Masked(torch.randint(0, 256, (3, 40), generator=seeded(0)), torch.arange(40).expand(3, 40) < 30)
    question = Masked(torch.randint(0, 256, (3, 9), generator=seeded(2)), torch.ones(3, 9, dtype=torch.bool))
    net = model(path)
    found = net({"passage": passage, "question": question}, Context())
    assert isinstance(found, Masked)
    assert found.value.shape == (3, 40, 2)
    assert not found.value.softmax(1)[:, 30:].any()
    other = Masked(question.value.flip(1), question.mask)
    assert not torch.allclose(net({"passage": passage, "question": other}).value, found.value, atol=1e-4)  # type: ignore[union-attr]
