"""What the block families do together, in the paths that ship."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pathways.assemble import PathModule
from pathways.modules import Context, Masked, ModuleSpec, Tokens, build
from pathways.modules.positions import Positions
from pathways.path import Path
from pathways.preset import path_from, preset


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=1):
    return torch.randn(shape, generator=seeded(seed))


def assembled(path):
    """The path with weights, in evaluation mode; equal drafts start equal."""
    return PathModule(path, lambda ref: seeded(3)).eval()


def up_to(path, output):
    """The part of a path that a step depends on."""
    return Path(path.inputs, path.steps, output)


def counted(module, *values):
    """What torch counts in products."""
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        module(*values, context=Context())
    return counter.get_total_flops()


READ = {
    "inputs": {"x": {"port": "tokens", "length": None, "dim": 6}},
    "steps": {
        "latents": {"module": {"family": "learned_tokens", "config": {"length": 4, "dim": 8}}, "reads": []},
        "read1": {"module": {"family": "transformer", "name": "read", "config": {"heads": 1}},
                  "reads": ["latents", "x"]},
        "think1": {"module": {"family": "transformer", "name": "think", "config": {"heads": 2}}},
        "read2": {"module": {"family": "transformer", "name": "read", "config": {"heads": 1}},
                  "reads": ["think1", "x"]},
    },
}


def test_b13_reads_cost_linear_in_the_input():
    def cost(length, query):
        ports = [Tokens(4 if query else length, 8)] + ([Tokens(length, 8)] if query else [])
        block = build(ModuleSpec("transformer", {"heads": 2}), ports, seeded())
        return counted(block, *(noise(1, port.length, 8) for port in ports))

    read = [cost(length, query=True) for length in (16, 32, 64)]
    assert read[2] - read[1] == 2 * (read[1] - read[0])  # a straight line
    assert read[1] < 2 * read[0]
    alone = [cost(length, query=False) for length in (16, 32, 64)]
    assert alone[2] - alone[1] > 2 * (alone[1] - alone[0])  # self-attention is above any line


@pytest.mark.parametrize("length", [1, 9, 50])
def test_b13_the_outputs_size_does_not_depend_on_the_inputs(length):
    value = Masked(noise(2, length, 6), torch.ones(2, length, dtype=torch.bool))
    assert assembled(path_from(READ))({"x": value}).shape == (2, 4, 8)


def test_b13_the_repeats_are_one_module():
    path = preset("perceiver")
    assert path.steps["read1"].modules == path.steps["read2"].modules
    module = assembled(path)
    names = [ref.name for ref in path.drafts_in_order()]
    assert (names.count("read"), names.count("think")) == (2, 2)
    assert path.costs().parameters == sum(p.numel() for p in module.parameters())
    once = Path(path.inputs, {n: s for n, s in path.steps.items() if n not in ("read2", "think2", "pooled")}, "think1")
    assert once.costs().parameters == path.costs().parameters
    assert 1.5 * once.costs().flops < path.costs().flops


def test_b13_without_positions_the_order_of_the_input_does_not_matter():
    path = preset("perceiver")
    pixels = noise(2, 1, 14, 14)
    order = torch.randperm(196, generator=seeded(4))
    shuffled = pixels.flatten(2)[..., order].view_as(pixels)
    without = {
        name: step.map_reads(lambda read: "wide" if read == "bytes" else read)
        for name, step in path.steps.items()
        if name != "bytes"
    }
    blind = assembled(Path(path.inputs, without, path.output))
    torch.testing.assert_close(blind({"image": shuffled}), blind({"image": pixels}), atol=1e-5, rtol=1e-5)
    seeing = assembled(path)
    [places] = [module for module in seeing.modules() if isinstance(module, Positions)]
    torch.nn.init.normal_(places.project.weight, generator=seeded(5))  # Fourier positions start as nothing
    assert not torch.allclose(seeing({"image": shuffled}), seeing({"image": pixels}), atol=1e-3)


def test_b14_there_are_as_many_outputs_as_queries_and_each_is_its_own():
    path = preset("perceiver-io")
    ports = path.ports()
    assert ports["outputs"].length == ports["queries"].length == 6
    decode = build(path.steps["outputs"].modules[0].spec, [Tokens(None, 16), Tokens(8, 24)], seeded()).eval()
    queries, latents = noise(2, 6, 16), noise(2, 8, 24, seed=2)

    def asked(chosen):
        value = Masked(queries[:, chosen], torch.ones(2, len(chosen), dtype=torch.bool))
        return decode(value, latents, context=Context()).value

    together = asked([0, 1, 2, 3, 4, 5])
    for kept in ([3], [5, 3], [0, 3, 4]):
        torch.testing.assert_close(asked(kept), together[:, kept], atol=1e-5, rtol=1e-5)
    queries[:, 0] += 1 + noise(16, seed=3)
    changed = asked([0, 1, 2, 3, 4, 5])
    torch.testing.assert_close(changed[:, 1:], together[:, 1:], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(changed[:, 0], together[:, 0], atol=1e-2)


def test_b8_patches_shuffled_with_their_positions_shuffle_the_outputs():
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    places = build(ModuleSpec("positions", {"kind": "learned"}), [Tokens(6, 8)], seeded()).eval()
    block = build(ModuleSpec("transformer", {"heads": 2}), [Tokens(6, 8)], seeded(1)).eval()
    x = noise(2, 6, 8)

    def run(value):
        return block(places(value, context=Context()), context=Context())

    plain = run(x)
    assert not torch.allclose(run(x[:, order]), plain[:, order], atol=1e-3)  # positions stay where they were
    with torch.no_grad():
        places.table.copy_(places.table[order])
    torch.testing.assert_close(run(x[:, order]), plain[:, order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "output", "causal"), [("palm", "block2", True), ("text-encoder", None, False)])
def test_b10_no_token_of_a_causal_trunk_sees_later_ones_and_b9_all_of_an_encoder(name, output, causal):
    path = preset(name)
    blocks = [step for step in path.steps if path.steps[step].modules[0].spec.family == "transformer"]
    trunk = assembled(up_to(path, output or blocks[-1]))
    [(read, port)] = path.inputs.items()
    ids = torch.randint(0, port.vocabulary, (1, 8 if port.length is None else port.length), generator=seeded(6))

    def run(value):
        mask = torch.ones(value.shape, dtype=torch.bool)
        found = trunk({read: Masked(value, mask) if port.length is None else value})
        return (found.value if isinstance(found, Masked) else found).detach()

    before = run(ids)
    changed = ids.clone()
    changed[0, 4] = (ids[0, 4] + 1) % port.vocabulary
    moved = (run(changed) - before).abs().amax(2)[0] > 1e-6
    assert bool(moved[4:].all())
    assert moved[:4].tolist() == [not causal] * 4
