"""The affine map of a stack: its values, its gradients, and the step of gradient descent that it takes itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pathways.modules import Stack
from pathways.modules.stacked import affine


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=dtype)


def stack_of(k, s, o, d, **options):
    return Stack({"linear.weight": draw(k, s, o, d), "linear.bias": draw(k, s, o)}, **options)


@settings(deadline=None, max_examples=25)
@given(
    k=st.integers(1, 5), s=st.integers(1, 3), o=st.integers(1, 7), d=st.integers(1, 9), b=st.integers(1, 6),
    shared=st.booleans(), relu=st.booleans(), seed=st.integers(0, 99),
)
def test_a_fused_step_is_gradient_descent(k, s, o, d, b, shared, relu, seed):
    x = draw(1 if shared else k, b, d, seed=seed).requires_grad_()
    rate = torch.rand(k, s, 1, 1, generator=torch.Generator().manual_seed(seed))
    plain, fused = stack_of(k, s, o, d), stack_of(k, s, o, d, rate=rate)
    for tensor in plain.tensors.values():
        tensor.requires_grad_()
    activation = "relu" if relu else "none"
    pull = draw(k, s, b, o, seed=seed)
    (affine(plain, "linear", x, activation) * pull).sum().backward()
    wanted_x, x.grad = x.grad, None
    (affine(fused, "linear", x, activation) * pull).sum().backward()
    assert torch.allclose(x.grad, wanted_x, atol=1e-5, rtol=1e-4)
    for name, ones in (("linear.weight", 4), ("linear.bias", 3)):
        step = rate.reshape(k, s, *[1] * (ones - 2)) * plain[name].grad
        assert torch.allclose(fused[name], plain[name].detach() - step, atol=1e-5, rtol=1e-4)


def test_one_rate_for_all_is_that_rate_for_each():
    x, pull = draw(1, 4, 5), draw(3, 2, 4, 6)
    one, each = (stack_of(3, 2, 6, 5, rate=r) for r in (1.0, torch.ones(3, 2, 1, 1)))
    for stack in (one, each):
        (affine(stack, "linear", x, "relu") * pull).sum().backward()
    assert torch.allclose(one["linear.weight"], each["linear.weight"], atol=1e-6)


def test_gradients_are_right_to_second_digits_in_double():
    stack = {"linear.weight": draw(2, 2, 3, 4, dtype=torch.double), "linear.bias": draw(2, 2, 3, dtype=torch.double)}
    x = draw(2, 5, 4, dtype=torch.double)
    def run(x, w, b):
        return affine(Stack({"linear.weight": w, "linear.bias": b}), "linear", x, "relu")
    assert torch.autograd.gradcheck(run, [t.requires_grad_() for t in (x, *stack.values())])


def test_inner_axes_of_tokens_stay():
    stack = stack_of(3, 2, 6, 5)
    x = draw(3, 4, 7, 5)
    found = affine(stack, "linear", x)
    assert found.shape == (3, 2, 4, 7, 6)
    wanted = F.linear(x[1], stack["linear.weight"][1, 0], stack["linear.bias"][1, 0])
    assert torch.allclose(found[1, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("rate", [None, torch.full((3, 2, 1, 1), 0.1)])
def test_products_in_few_bits_give_values_gradients_and_steps_to_those_bits(shared, rate):
    k, s, o, d, b = 3, 2, 64, 300, 130
    plain, low = stack_of(k, s, o, d, rate=rate), stack_of(k, s, o, d, rate=rate, low=torch.bfloat16)
    x, pull = draw(1 if shared else k, b, d), draw(k, s, b, o)
    found = []
    for stack in (plain, low):
        own = x.clone().requires_grad_()
        for tensor in stack.tensors.values() if rate is None else ():
            tensor.requires_grad_()
        y = affine(stack, "linear", own)
        (y * pull).sum().backward()
        moved = [stack[name].grad if rate is None else stack[name] for name in stack]
        found.append([y.detach(), own.grad, *(tensor.detach() for tensor in moved)])
    for exact, rounded in zip(*found, strict=True):
        assert rounded.dtype == torch.float32
        if exact.shape != (k, s, o):  # biases are no operands
            assert not torch.equal(exact, rounded)
        # bfloat16 has 8 bits: each product's operands are off by at most 2^-9 of themselves
        assert float((exact - rounded).norm() / exact.norm()) < 2**-7


def test_few_bits_are_for_training_and_for_products_large_enough():
    x, stack = draw(1, 130, 300), stack_of(2, 1, 64, 300)
    low = Stack(stack.tensors, low=torch.bfloat16)
    with torch.no_grad():
        assert torch.equal(affine(low, "linear", x), affine(stack, "linear", x))
    assert not torch.equal(affine(low, "linear", x), affine(stack, "linear", x))
    assert torch.equal(affine(low, "linear", x[:, :16]), affine(stack, "linear", x[:, :16]))
    assert low.each().low == torch.bfloat16


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("s", "o", "d", "low"), [
    (3, 20, 784, None), (1, 10, 784, None), (1, 10, 64, None), (3, 20, 20, None), (1, 47, 392, None),
    (3, 20, 784, torch.bfloat16), (1, 64, 784, torch.bfloat16), (1, 300, 1500, torch.bfloat16),
])  # fmt: skip
@pytest.mark.parametrize("b", [16, 128])
@pytest.mark.parametrize("shared", [True, False])
def test_a_candidate_does_not_see_who_else_is_in_its_stack(shared, b, s, o, d, low):
    """Equal to the bit at one thread: a result does not depend on which candidates were trained beside it."""
    stack, pull = stack_of(9, s, o, d, low=low), draw(9, s, b, o)
    x = draw(1 if shared else 9, b, d)
    rate = torch.full((9, s, 1, 1), 0.01)
    # A stack of one has a twin: with one candidate nothing would tell values that all share from values of its own.
    def twins(t, k):
        return torch.stack([t[k], t[k]])

    alone = [Stack({n: twins(t, k) for n, t in stack.tensors.items()}, rate[:2], low) for k in range(9)]
    stack.rate = rate
    for step in range(3):
        together = affine(stack, "linear", x, "relu")
        (together * pull).sum().backward()
        for k, pair in enumerate(alone):
            y = affine(pair, "linear", x if shared else twins(x, k), "relu")
            assert torch.equal(y[0], together[k]), f"step {step}"
            (y * twins(pull, k)).sum().backward()
            assert torch.equal(pair["linear.weight"][0], stack["linear.weight"][k])
