"""The conformance suite of delta families: changes inside a frozen module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from safetensors.torch import load, save
from torch.func import functional_call

from pathways.modules import BUILT_IN, Context, Delta, Families, Module, ModuleSpec, Port, Value, build, facts
from pathways.modules.ports import example, like, split

from .module_family import assert_same, lessons, moved, seeded


class DeltaFamilySuite:
    """Checks of one configuration of a delta family; inherit it in a test file, once for each configuration.

    Attributes:
        spec: the configuration to test.
        host: the spec of the module it changes.
        ports: the host's input ports.
        families: the families that both specs may name.
        learned: what 30 steps of Adam must leave at most of the distance to a trained delta's outputs, as a share.

    Example:
        >>> from pathways.modules import Vector
        >>> class TestLoRA(DeltaFamilySuite):
        ...     spec = ModuleSpec("lora", {"rank": 1})
        ...     host, ports = ModuleSpec("linear", {"dim": 3}), (Vector(5),)
        >>> TestLoRA().test_the_neutral_condition_is_exact()
    """

    spec: ModuleSpec
    host: ModuleSpec
    ports: tuple[Port, ...] = ()
    families: Families = BUILT_IN
    learned: float = 0.8

    def built_host(self) -> Module:
        """The host, frozen, in evaluation mode."""
        host = build(self.host, self.ports, seeded(21), families=self.families)
        assert isinstance(host, Module)
        return host.eval().requires_grad_(False)

    def built(self, seed: int | None = 0) -> Delta:
        """The delta, initialised from `seed`; without one its weights are unset."""
        generator = None if seed is None else seeded(seed)
        delta = build(self.spec, (), generator, host=self.built_host(), families=self.families)
        assert isinstance(delta, Delta)
        return delta

    def trained(self) -> Delta:
        """The delta with every parameter moved off its initial value, as training does."""
        delta, generator = self.built(), seeded(11)
        with torch.no_grad():
            for parameter in delta.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
        return delta

    def values(self) -> list[Value]:
        """A random value for each input port of the host."""
        generator = seeded(1)
        return [example(port, 4, generator) for port in self.ports]

    def run(self, host: Module, delta: Delta, values: Sequence[Value]) -> Value:
        """The host's output under the delta, as an assembled path computes it."""
        weights = delta.weights(dict(host.named_parameters()))

        def call(*inputs: Value, context: Context) -> Value:
            return functional_call(host, weights, inputs, {"context": context})

        return delta.around(call, *values, context=Context())

    def test_the_neutral_condition_is_exact(self) -> None:
        """A fresh delta leaves the host's outputs as they are, to the bit."""
        host, values = self.built_host(), self.values()
        assert_same(self.run(host, self.built(), values), host(*values, context=Context()))

    def test_training_changes_the_output(self) -> None:
        """Its parameters take part in the output."""
        host, values = self.built_host(), self.values()
        changed, plain = self.run(host, self.trained(), values), host(*values, context=Context())
        assert not torch.equal(split(changed)[0], split(plain)[0])

    def test_the_host_is_left_alone(self) -> None:
        """A pass does not touch the host's tensors."""
        host = self.built_host()
        before = save(host.state_dict())
        self.run(host, self.trained(), self.values())
        assert save(host.state_dict()) == before

    def test_gradients_reach_the_delta_and_not_the_host(self) -> None:
        """Every parameter of the delta has a gradient, none of the host has."""
        host, delta = self.built_host(), self.trained()
        split(self.run(host, delta, self.values()))[0].square().sum().backward()
        for name, parameter in delta.named_parameters():
            assert parameter.grad is not None, f"no gradient reaches `{name}`"
            assert bool(parameter.grad.any()), f"the gradient of `{name}` is zero everywhere"
        assert all(parameter.grad is None for parameter in host.parameters())

    def test_parameters_and_buffers_are_counted(self) -> None:
        """`facts` counts what the built delta holds."""
        delta = self.built()
        found = facts(self.spec, (), host=(self.host, self.ports), families=self.families)
        assert found.parameters == sum(p.numel() for p in delta.parameters())
        assert found.buffers == sum(b.numel() for b in delta.buffers())
        assert found.flops >= 0

    def test_equal_seeds_give_equal_bytes(self) -> None:
        """`initialise` sets every tensor, from its generator alone."""
        before = torch.get_rng_state()
        assert save(self.built(3).state_dict()) == save(self.built(3).state_dict())
        assert torch.equal(torch.get_rng_state(), before)

    def test_saved_weights_give_the_same_delta(self) -> None:
        """The tensors are the whole state: saved and loaded, they give equal bytes and outputs."""
        host, delta, values = self.built_host(), self.trained(), self.values()
        content = save(delta.state_dict())
        loaded = self.built(seed=None)
        loaded.load_state_dict(load(content), assign=True)
        assert save(loaded.state_dict()) == content
        assert_same(self.run(host, delta, values), self.run(host, loaded, values))

    def test_it_learns_and_the_host_stays(self) -> None:
        """Steps of Adam on the delta bring the host's output nearer to a wanted one; the host's bytes do not change."""
        host, delta, values = self.built_host(), self.built(), self.values()
        before, plain = save(host.state_dict()), self.run(host, delta, values)
        wanted = self.run(host, self.trained(), values)
        first, last = lessons(delta.parameters(), lambda: self.run(host, delta, values), wanted, host.output)
        assert last <= self.learned * first, f"the loss went from {first:.4g} to {last:.4g}"
        assert not torch.equal(split(self.run(host, delta, values))[0], split(plain)[0])
        assert save(host.state_dict()) == before

    def test_it_computes_in_64_bits(self) -> None:
        """In float64 the host gives float64 under it, and what it gives in float32."""
        host, delta = self.built_host(), self.trained()
        narrow = _doubled(self.run(host, delta, self.values()))
        moved(host, torch.float64)
        wide = self.run(host, moved(delta, torch.float64), [_doubled(value) for value in self.values()])
        assert split(wide)[0].dtype == torch.float64
        assert_same(narrow, wide, 1e-3)

    def test_what_fitting_gives_fits(self) -> None:
        """The configuration for this host, where there is one, can be built, and starts neutral."""
        host, values = self.built_host(), self.values()
        config = type(self.built()).fitting(host)
        if config is None:
            return
        delta = build(ModuleSpec(self.spec.family, dict(config)), (), seeded(0), host=host, families=self.families)
        assert isinstance(delta, Delta)
        assert_same(self.run(host, delta, values), host(*values, context=Context()))


def _doubled(value: Value) -> Value:
    tensor, _ = split(value)
    return like(value, tensor.double() if tensor.is_floating_point() else tensor)
