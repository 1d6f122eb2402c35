"""The conformance suite of delta families: changes inside a frozen module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pathways.modules import BUILT_IN, Context, Delta, Facts, Families, Module, ModuleSpec, Port, Value, build, facts
from pathways.modules.build import is_delta, part_ports
from pathways.modules.flops import NOMINAL_LENGTH
from pathways.modules.merge import merged
from pathways.modules.ports import example, like, split

from .module_family import assert_same, lessons, moved, seeded


class DeltaFamilySuite:
    """Checks of one configuration of a delta family; inherit it in a test file, once for each configuration.

    Attributes:
        spec: the configuration to test.
        host: the spec of the module it changes.
        ports: the host's input ports.
        conditions: the ports of what it reads as its condition.
        families: the families that both specs may name.
        learned: what 30 steps of Adam must leave at most of the distance to a trained delta's outputs, as a share.
        draws: whether its initial weights depend on the seed.

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
    conditions: tuple[Port, ...] = ()
    families: Families = BUILT_IN
    learned: float = 0.8
    draws: bool = True

    def built_host(self) -> Module:
        """The host, frozen, in evaluation mode."""
        host = build(self.host, self.ports, seeded(21), families=self.families)
        assert isinstance(host, Module)
        return host.eval().requires_grad_(False)

    def parts(self, host: Module, moved: bool = False) -> dict[str, nn.Module]:
        """The parts that `spec` names, fresh or moved off their initial values."""
        inside = part_ports(self.spec, self.conditions, self.families)
        found: dict[str, nn.Module] = {}
        for name, ref in self.spec.parts.items():
            on = host if is_delta(ref.spec, self.families) else None
            found[name] = build(ref.spec, inside(name), seeded(7), host=on, families=self.families)
            if moved:
                move(found[name], 12)
        return found

    def built(self, seed: int | None = 0, *, moved: bool = False) -> Delta:
        """The delta, initialised from `seed`; without one its weights are unset. `moved` is said of its parts."""
        generator = None if seed is None else seeded(seed)
        host = self.built_host()
        parts = self.parts(host, moved)
        delta = build(self.spec, self.conditions, generator, parts=parts, host=host, families=self.families)
        assert isinstance(delta, Delta)
        return delta

    def trained(self) -> Delta:
        """The delta with every parameter moved off its initial value, as training does, those of its parts too."""
        delta = self.built(moved=True)
        move(delta, 11)
        return delta

    def values(self, batch: int = 4, length: int = 5) -> list[Value]:
        """A random value for each input port of the host."""
        generator = seeded(1)
        return [example(port, batch, generator, length) for port in self.ports]

    def condition(self, batch: int = 4) -> list[Value]:
        """A random value for each port of the condition."""
        generator = seeded(2)
        return [example(port, batch, generator) for port in self.conditions]

    def run(self, host: Module, delta: Delta, values: Sequence[Value]) -> Value:
        """The host's output under the delta, as an assembled path computes it."""
        tensor = split(values[0])[0]
        condition = self.condition(len(tensor))
        return self.run_all(host, [delta], values, [_as(value, tensor.dtype) for value in condition])

    def run_all(
        self, host: Module, deltas: Sequence[Delta], values: Sequence[Value], condition: Sequence[Value]
    ) -> Value:
        """The host's output under deltas in their order, each of which reads `condition`."""
        weights: Mapping[str, Tensor] = dict(host.named_parameters())
        changes: dict[str, list[Callable[[Any], Any]]] = {}
        for delta in deltas:
            weights = delta.weights(weights)
            for site, change in delta.inside(*condition).items():
                changes.setdefault(site, []).append(change)

        def call(*inputs: Value, context: Context) -> Value:
            return functional_call(host, dict(weights), inputs, {"context": context.changed(host, changes)})

        given: dict[str, Any] = {"condition": tuple(condition)} if condition else {}
        for delta in deltas:
            call = partial(delta.around, call, **given)
        return call(*values, context=Context())

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
        found = self.facts()
        assert found.parameters == sum(p.numel() for p in delta.parameters())
        assert found.buffers == sum(b.numel() for b in delta.buffers())
        assert found.flops >= 0

    def facts(self) -> Facts:
        """What is known of the delta without building it."""
        return facts(self.spec, self.conditions, host=(self.host, self.ports), families=self.families)

    def test_flops_cover_the_extra_products(self) -> None:
        """`flops` is at least what the delta adds for one more sample to what torch counts in products."""
        host, delta, counted = self.built_host(), self.trained().requires_grad_(False), []
        for run in (lambda values: self.run(host, delta, values), lambda values: host(*values, context=Context())):
            for batch in (2, 3):
                values = self.values(batch, NOMINAL_LENGTH)
                # The plain form of attention is made of products, which the counter sees on every device.
                with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                    run(values)
                counted.append(counter.get_total_flops())
        # What does not grow with the batch is done once for all of it.
        extra = (counted[1] - counted[0]) - (counted[3] - counted[2])
        found = self.facts().flops
        elementwise = 20 * sum(split(value)[0][0].numel() for value in self.values(1, NOMINAL_LENGTH))
        assert extra <= found <= 1.5 * extra + elementwise

    def test_merged_weights_give_the_same_outputs(self) -> None:
        """A delta that changes weights only can be merged into the host, to the bit; others are refused."""
        host, delta, values = self.built_host(), self.trained(), self.values()
        if not delta.mergeable:
            message = ""
            try:
                merged(host, [delta])
            except ValueError as error:
                message = str(error)
            assert message, f"{delta.family} must be refused with a ValueError"
            return
        alone = self.built_host()
        alone.load_state_dict(merged(host, [delta]))
        assert_same(alone(*values, context=Context()), self.run(host, delta, values))

    def test_its_fitting_configuration_is_neutral(self) -> None:
        """What evolution would put on the host, where only the family was named, changes nothing yet."""
        host, values = self.built_host(), self.values()
        config = self.families[self.spec.family].fitting(host)  # type: ignore[arg-type]
        if config is None:
            return
        spec = ModuleSpec(self.spec.family, config)
        delta = build(spec, (), seeded(0), host=host, families=self.families)
        assert isinstance(delta, Delta)
        assert_same(self.run_all(host, [delta], values, ()), host(*values, context=Context()))

    def test_equal_seeds_give_equal_bytes(self) -> None:
        """`initialise` sets every tensor, from its generator alone."""
        before = torch.get_rng_state()
        assert save(self.built(3).state_dict()) == save(self.built(3).state_dict())
        assert torch.equal(torch.get_rng_state(), before)

    def test_other_seeds_give_other_weights(self) -> None:
        """`initialise` uses its generator, where it draws."""
        assert (save(self.built(3).state_dict()) != save(self.built(4).state_dict())) == self.draws

    def test_saved_weights_give_the_same_delta(self) -> None:
        """The tensors are the whole state: saved and loaded, they give equal bytes and outputs."""
        host, delta, values = self.built_host(), self.trained(), self.values()
        content = save(delta.state_dict())
        loaded = self.built(seed=None, moved=True)
        loaded.load_state_dict(load(content), assign=True)
        assert save(loaded.state_dict()) == content
        assert_same(self.run(host, delta, values), self.run(host, loaded, values))

    def test_it_learns_and_the_host_stays(self) -> None:
        """Steps of Adam on the delta bring the host's output nearer to a wanted one; the host's bytes do not change.

        Where it has no weights of its own, its parts learn.
        """
        host, values = self.built_host(), self.values()
        own = any(True for _ in self.built().parameters())
        delta = self.built(moved=own)
        parameters = delta.parameters() if own else parameters_of_parts(delta)
        before, plain = save(host.state_dict()), self.run(host, delta, values)
        wanted = self.run(host, self.trained(), values)
        first, last = lessons(parameters, lambda: self.run(host, delta, values), wanted, host.output)
        assert last <= self.learned * first, f"the loss went from {first:.4g} to {last:.4g}"
        assert not torch.equal(split(self.run(host, delta, values))[0], split(plain)[0])
        assert save(host.state_dict()) == before

    def test_it_computes_in_64_bits(self) -> None:
        """In float64 the host gives float64 under it, and what it gives in float32."""
        host, delta = self.built_host(), self.trained()
        narrow = _as(self.run(host, delta, self.values()), torch.float64)
        moved(host, torch.float64)
        wide = self.run(host, moved(delta, torch.float64), [_as(value, torch.float64) for value in self.values()])
        assert split(wide)[0].dtype == torch.float64
        assert_same(narrow, wide, 1e-3)


def _as(value: Value, dtype: torch.dtype) -> Value:
    """The value in another type of floats; ids stay."""
    tensor, _ = split(value)
    return like(value, tensor.to(dtype) if tensor.is_floating_point() and dtype.is_floating_point else tensor)


def parameters_of_parts(module: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters of the parts that a module keeps in plain dicts."""
    for held in [held for held in vars(module).values() if isinstance(held, dict)]:
        for part in held.values():
            if isinstance(part, nn.Module):
                yield from part.parameters()


def move(module: nn.Module, seed: int) -> None:
    """Move every parameter off its value."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
