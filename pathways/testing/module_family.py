"""The conformance suite of module families: what assembly, the pool and the trainer rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from unittest import SkipTest

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pathways.modules import (
    BUILT_IN,
    Context,
    Families,
    Masked,
    Module,
    ModuleSpec,
    Port,
    PortError,
    Value,
    build,
    facts,
)
from pathways.modules.build import part_ports
from pathways.modules.flops import NOMINAL_LENGTH
from pathways.modules.ports import example, split

from .stacked import assert_stack_is_its_modules

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Unknown(Port):
    """A port that no family reads."""

    size: int = 1
    kind: ClassVar[str] = "unknown"


def seeded(seed: int) -> torch.Generator:
    """A generator of that seed."""
    return torch.Generator().manual_seed(seed)


class ModuleFamilySuite:
    """Checks of one configuration of a module family; inherit it in a test file, once for each configuration.

    Attributes:
        spec: the configuration to test.
        ports: its input ports.
        families: the families that `spec` may name; pass your own as `Families([YourFamily])`.
        refused: input ports that must raise `PortError`; by default `ports` and one more, of an unknown kind.
        draws: whether its initial weights depend on the seed; false where all of them start as constants.
        flop_share: how far `facts(...).flops` may stand above the products that torch counts, as a share.
        tolerance: largest difference, absolute and relative, between one sample alone and in a batch, and between one
            module alone and in a stack.
        learned: what 30 steps of Adam on one batch must leave of the loss at most, as a share; `None` where the output
            has no gradient (a router whose weights are 0 and 1).
        wide: largest difference, absolute and relative, between 32 and 64 bits, and between devices.

    Example:
        >>> from pathways.modules import Vector
        >>> class TestLinear(ModuleFamilySuite):
        ...     spec = ModuleSpec("linear", {"dim": 3})
        ...     ports = (Vector(5),)
        >>> TestLinear().test_parameters_and_buffers_are_counted()
    """

    spec: ModuleSpec
    ports: tuple[Port, ...] = ()
    families: Families = BUILT_IN
    refused: tuple[tuple[Port, ...], ...] | None = None
    draws: bool = True
    flop_share: float = 0.5
    tolerance: float = 1e-5
    learned: float | None = 0.8
    wide: float = 1e-3

    # -- what the checks are made of ----------------------------------------------------------------------

    def built(self, seed: int | None = 0) -> Module:
        """The module, initialised from `seed`; without one its weights are unset."""
        inside = part_ports(self.spec, self.ports, self.families)
        parts: dict[str, nn.Module] = {
            name: build(ref.spec, inside(name), seeded(7), families=self.families)
            for name, ref in self.spec.parts.items()
        }
        generator = None if seed is None else seeded(seed)
        module = build(self.spec, self.ports, generator, parts=parts, families=self.families)
        assert isinstance(module, Module)
        return module

    def trained(self, seed: int = 0) -> Module:
        """The module with every parameter moved off its initial value, as training does."""
        module = self.built(seed)
        generator = seeded(11)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
        return module

    def values(self, batch: int = 3, seed: int = 1, length: int = 5) -> list[Value]:
        """A random value for each input port."""
        generator = seeded(seed)
        return [example(port, batch, generator, length) for port in self.ports]

    def run(self, module: nn.Module, values: list[Value], noise: int | None = None) -> Value:
        """The module's output; `noise` seeds the context's generator."""
        return module(*values, context=Context(generator=None if noise is None else seeded(noise)))

    # -- ports and costs ----------------------------------------------------------------------------------

    def test_output_fits_its_port(self) -> None:
        """The output has the shape, kind and mask that `output` says, for any batch."""
        module = self.built().eval()
        for batch in (1, 3):
            output = self.run(module, self.values(batch))
            assert_fits(output, module.output, batch if self.ports else 1)

    def test_facts_agree_with_the_module(self) -> None:
        """`facts`, which allocates nothing, gives the port of the built module."""
        assert facts(self.spec, self.ports, families=self.families).output == self.built().output

    def test_parameters_and_buffers_are_counted(self) -> None:
        """`facts` counts what the built module holds."""
        module, found = self.built(), facts(self.spec, self.ports, families=self.families)
        assert found.parameters == sum(p.numel() for p in module.parameters())
        assert found.buffers == sum(b.numel() for b in module.buffers())

    def test_flops_cover_the_products_of_one_sample(self) -> None:
        """`flops` is at least what torch counts in products, and not far above."""
        module, batch = self.built().eval().requires_grad_(False), 2
        counter = FlopCounterMode(display=False)
        # The plain form of attention is made of products, which the counter sees on every device.
        with counter, sdpa_kernel(SDPBackend.MATH):
            self.run(module, self.values(batch, length=NOMINAL_LENGTH))
        counted = counter.get_total_flops() / (batch if self.ports else 1)
        found = facts(self.spec, self.ports, families=self.families).flops
        elementwise = 10 * sum(split(value)[0][0].numel() for value in self.values(length=NOMINAL_LENGTH))
        assert counted <= found <= (1 + self.flop_share) * counted + elementwise

    def test_ports_that_do_not_fit_are_refused(self) -> None:
        """The constructor raises `PortError` for ports that it cannot read."""
        refused = ((*self.ports, Unknown()),) if self.refused is None else self.refused
        for ports in refused:
            message = ""
            try:
                build(self.spec, ports, families=self.families)
            except PortError as error:
                message = str(error)
            assert message, f"{self.spec.family} must refuse {ports} with a PortError"

    def test_spec_survives_json(self) -> None:
        """The configuration is plain data."""
        assert ModuleSpec.from_json(json.loads(json.dumps(self.spec.to_json()))) == self.spec

    def test_what_fitting_gives_fits(self) -> None:
        """The configuration for these ports, where there is one, is plain data with which the family can be built."""
        config = type(self.built(seed=None)).fitting(self.ports)
        if config is None:
            return
        spec = ModuleSpec(self.spec.family, json.loads(json.dumps(dict(config))))
        module = build(spec, self.ports, seeded(0), families=self.families)
        assert isinstance(module, Module)
        output = self.run(module.eval(), self.values(batch=2))
        assert_fits(output, module.output, 2 if self.ports else 1)
        assert facts(spec, self.ports, families=self.families).output == module.output

    def test_what_fitting_gives_for_other_ports_fits_too(self) -> None:
        """For ports that this configuration refuses, `fitting` gives nothing, or one that can be built there."""
        cls = type(self.built(seed=None))
        for ports in (*(self.refused or ()), (*self.ports, Unknown())):
            config = cls.fitting(ports)
            if config is not None:
                build(ModuleSpec(self.spec.family, dict(config)), ports, families=self.families)

    # -- randomness ---------------------------------------------------------------------------------------

    def test_equal_seeds_give_equal_bytes(self) -> None:
        """`initialise` sets every tensor, from its generator alone."""
        assert save(self.built(3).state_dict()) == save(self.built(3).state_dict())

    def test_other_seeds_give_other_weights(self) -> None:
        """`initialise` uses its generator."""
        if self.draws and any(True for _ in self.built().parameters()):
            assert save(self.built(3).state_dict()) != save(self.built(4).state_dict())

    def test_global_generators_are_left_alone(self) -> None:
        """Neither building nor a training pass draws from torch's global generator."""
        before = torch.get_rng_state()
        module = self.built(5)
        self.run(module.train(), self.values(), noise=2)
        assert torch.equal(torch.get_rng_state(), before)

    def test_noise_comes_from_the_context(self) -> None:
        """Equal generators in the context give equal outputs in training mode."""
        first, second = (self.run(self.trained().train(), self.values(), noise=2) for _ in range(2))
        assert_same(first, second)

    # -- values and gradients -----------------------------------------------------------------------------

    def test_gradients_reach_all_parameters(self) -> None:
        """Every parameter has a finite gradient that is not zero everywhere."""
        module, context = self.trained().train(), Context(generator=seeded(2))
        output = module(*self.values(batch=8), context=context)
        tensor = split(output)[0]
        loss = (tensor * torch.randn(tensor.shape, generator=seeded(3))).sum()
        extra = context.total_loss()
        parameters = dict(module.named_parameters())
        if not parameters:
            return
        (loss if extra is None else loss + extra).backward()
        for name, parameter in parameters.items():
            assert parameter.grad is not None, f"no gradient reaches `{name}`"
            assert bool(parameter.grad.isfinite().all()), f"the gradient of `{name}` must be finite"
            assert bool(parameter.grad.any()), f"the gradient of `{name}` is zero everywhere"

    def test_a_batch_gives_what_its_samples_give(self) -> None:
        """In evaluation, samples of a batch do not see one another."""
        module, values = self.trained().eval(), self.values(batch=4)
        together = self.run(module, values)
        for i in range(4 if self.ports else 0):
            alone = self.run(module, [_map(value, lambda tensor, i=i: tensor[i : i + 1]) for value in values])
            expected = split(together)[0][i : i + 1]
            assert torch.allclose(split(alone)[0], expected, atol=self.tolerance, rtol=self.tolerance)

    def test_a_stack_gives_what_its_modules_give(self) -> None:
        """Where the family has a stacked form: outputs, gradients and buffers are those of each module alone."""
        shell = self.built(seed=None).train()
        if not shell.stacks or any(port.variable for port in self.ports):  # masks do not stack
            return
        modules = [[self.trained(seed=10 * k + s).train() for s in range(2)] for k in range(3)]
        for count in (1, 3):
            values = [split(value)[0].unflatten(0, (count, 4)) for value in self.values(batch=4 * count)]
            assert_stack_is_its_modules(shell, modules, values, self.tolerance)

    def test_padding_does_not_matter(self) -> None:
        """What stands in padded places changes nothing at real ones."""
        module, values = self.trained().eval(), self.values(batch=6)
        others = [split(value)[0] for value in self.values(batch=6, seed=9)]
        changed = [_padded(*each) for each in zip(values, self.ports, others, strict=True)]
        first, second = (
            _padded(output, module.output, torch.zeros(()))
            for output in (self.run(module, values), self.run(module, changed))
        )
        assert_same(first, second, self.tolerance)

    def test_evaluation_changes_nothing(self) -> None:
        """A pass in evaluation mode repeats exactly, and changes neither buffers nor inputs."""
        module, values = self.trained().eval(), self.values()
        before = save(module.state_dict())
        copies = [_map(value, Tensor.clone) for value in values]
        first, second = self.run(module, values), self.run(module, values)
        assert_same(first, second)
        assert save(module.state_dict()) == before
        for value, copy in zip(values, copies, strict=True):
            assert_same(value, copy)

    def test_it_learns(self) -> None:
        """Steps of Adam on one batch bring its outputs nearer to those of a module of the family."""
        student, teacher, values = self.built().train(), self.trained(seed=1).train(), self.values(batch=8)
        if self.learned is None or not list(student.parameters()):
            return
        first, last = lessons(
            student.parameters(), lambda: self.run(student, values, noise=2), self.run(teacher, values, noise=2),
            student.output,
        )
        assert last <= self.learned * first, f"the loss went from {first:.4g} to {last:.4g}"

    def test_it_computes_in_64_bits(self) -> None:
        """In float64 it gives float64, and what it gives in float32."""
        module, values = self.trained().eval(), self.values()
        narrow = self.run(module, values)
        wide = self.run(moved(module, torch.float64), [_map(value, _double) for value in values])
        if not module.output.integer:
            assert split(wide)[0].dtype == torch.float64
        assert_same(_map(narrow, _double), wide, self.wide)

    def test_it_computes_on_a_device(self) -> None:
        """Where there is a CUDA device: there it gives what it gives here, in evaluation and in training."""
        if not torch.cuda.is_available():
            raise SkipTest("no CUDA device")
        module, values = self.trained(), self.values()
        here = self.run(module.eval(), values)
        there = [_map(value, lambda tensor: tensor.cuda()) for value in values]
        moved(module, torch.device("cuda"))
        found = self.run(module.eval(), there)
        assert split(found)[0].device.type == "cuda"
        assert_same(_map(found, lambda tensor: tensor.cpu()), here, self.wide)
        trained = split(self.run(module.train(), there, noise=2))[0]
        if trained.requires_grad:
            trained.square().sum().backward()
            assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in module.parameters())

    def test_saved_weights_give_the_same_module(self) -> None:
        """The tensors are the whole state: saved and loaded, they give equal bytes and outputs."""
        module, values = self.trained(), self.values()
        self.run(module.train(), values, noise=2)
        content = save(module.state_dict())
        loaded = self.built(seed=None)
        loaded.load_state_dict(load(content), assign=True)
        assert save(loaded.state_dict()) == content
        assert_same(self.run(module.eval(), values), self.run(loaded.eval(), values))


def assert_fits(value: Value, port: Port, batch: int) -> None:
    """Assert that `value` is one of `port` with `batch` samples."""
    tensor, mask = split(value)
    found, wanted = tuple(tensor.shape), (batch, *port.shape)
    fits = len(found) == len(wanted) and all(w is None or w == f for f, w in zip(found, wanted, strict=True))
    assert fits, f"a value of {port} must have shape {wanted}, found {found}"
    assert tensor.is_floating_point() != port.integer, f"a value of {port} must not be of {tensor.dtype}"
    assert (mask is not None) == port.variable, f"a value is masked exactly where its length varies: {port}"
    if mask is not None:
        assert (mask.dtype, tuple(mask.shape)) == (torch.bool, (batch, found[1 + port.shape.index(None)]))


def assert_same(first: Value, second: Value, tolerance: float = 0.0) -> None:
    """Assert that two values are equal, to the bit where `tolerance` is 0, and masked alike."""
    (a, mask), (b, other) = split(first), split(second)
    assert torch.allclose(a, b, atol=tolerance, rtol=tolerance) if tolerance else torch.equal(a, b)
    assert (mask is None) == (other is None)
    assert mask is None or other is None or torch.equal(mask, other)


def lessons(
    parameters: Iterable[nn.Parameter], run: Callable[[], Value], wanted: Value, port: Port
) -> tuple[float, float]:
    """The squared distance from `wanted`, over real places, before and after 30 steps of Adam."""
    target = split(_padded(_map(wanted, Tensor.detach), port, torch.zeros(())))[0]
    optimizer = torch.optim.Adam(parameters, lr=0.02)

    def loss() -> Tensor:
        return (split(_padded(run(), port, torch.zeros(())))[0] - target).square().mean()

    first = float(loss().detach())
    for _ in range(30):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return first, float(loss().detach())


def moved(module: M, where: torch.dtype | torch.device) -> M:
    """The module and its parts, which it keeps in plain dicts, in another type or place."""
    for held in list(vars(module).values()):
        if isinstance(held, dict):
            for part in held.values():
                if isinstance(part, nn.Module):
                    moved(part, where)
    return module.to(where)


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _map(value: Value, change: Callable[..., Tensor]) -> Any:
    return Masked(change(value.value), change(value.mask)) if isinstance(value, Masked) else change(value)


def _padded(value: Value, port: Port, content: Tensor) -> Value:
    """The value of `port`, with what stands in padded places taken from `content`."""
    if not isinstance(value, Masked):
        return value
    batch, places = value.mask.shape
    real = value.mask.reshape(batch, *(places if size is None else 1 for size in port.shape))
    return Masked(torch.where(real, value.value, content), value.mask)
