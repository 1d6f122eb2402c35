import pytest
import torch
from torch.nn import functional as F

from pathways.assemble import PathModule
from pathways.modules import BUILT_IN, Context, Draft, Frozen, Image, ModuleSpec, Tokens, Vector, build
from pathways.path import DeltaRef, Path, Step
from pathways.testing import ModuleFamilySuite


class TestKeyedPool(ModuleFamilySuite):
    spec = ModuleSpec("keyed_pool", {"experts": 5})
    ports = (Vector(6),)
    refused = ((), (Tokens(3, 6),))
    learned = None  # its weights are all or nothing; keys learn by their own loss


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=1):
    return torch.randn(shape, generator=seeded(seed))


def make(experts=8, dim=6, **config):
    return build(ModuleSpec("keyed_pool", {"experts": experts, **config}), [Vector(dim)], seeded())


def separated(kinds, n, dim, seed):
    """Queries of several kinds, (kinds, n, dim): around directions that are far from each other."""
    centres = torch.linalg.qr(noise(dim, dim, seed=seed))[0][:kinds]
    return centres[:, None] + 0.15 * noise(kinds, n, dim, seed=seed + 1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_r8_each_kind_of_data_has_its_own_key(seed):
    """Kinds that come one after another; the purity of keys is at least 0.95, and the first kind keeps its key."""
    queries = separated(5, 200, 16, 10 * seed)
    pool = make(12, 16).train()
    pool.place(0, queries[0])
    optimizer = torch.optim.SGD(pool.parameters(), lr=0.1)
    for kind in range(1, 5):
        for step in range(60):
            context = Context()
            pool(queries[kind, (8 * step) % 192 :][:8], context=context)
            optimizer.zero_grad()
            context.total_loss().backward()
            optimizer.step()
    chosen = pool.eval()(queries.flatten(0, 1), context=Context()).argmax(1).reshape(5, 200)
    counts = F.one_hot(chosen, 12).sum(1)  # (kinds, keys)
    assert float(counts.max(1).values.sum()) / counts.sum() >= 0.95  # a kind keeps to a key
    assert float(counts.max(0).values.sum()) / counts.sum() >= 0.95  # and a key to a kind
    assert bool((chosen[0] == 0).all())


def test_r8_keys_are_pulled_to_their_queries_and_only_those_chosen():
    pool, x = make().train(), noise(1, 6)
    context = Context()
    chosen = int(pool(x, context=context).argmax())
    context.total_loss().backward()
    expected = -0.5 * F.cosine_similarity(x[0], pool.keys[chosen].detach(), dim=0)
    torch.testing.assert_close(context.total_loss().detach(), expected)
    assert pool.keys.grad.abs().sum(1).nonzero().flatten().tolist() == [chosen]
    with torch.no_grad():
        pool.keys -= pool.keys.grad
    assert F.cosine_similarity(x[0], pool.keys[chosen].detach(), dim=0) > -2 * expected


def test_r8_a_module_that_was_often_chosen_is_given_less():
    pool, x = make(penalty=2.0).train(), noise(1, 6)
    first = int(pool(x, context=Context()).argmax())
    assert pool.counts.tolist() == [float(i == first) for i in range(8)]
    assert int(pool(x, context=Context()).argmax()) != first  # all choices so far fell on it
    assert int(pool.eval()(x, context=Context()).argmax()) == first
    assert int(make(penalty=0.0).train()(x, context=Context()).argmax()) == first


def modulated(pool_state):
    """A frozen block used three times, plain and with two LoRAs, chosen by the mean token of a frozen embedding."""
    specs = {"embed": ModuleSpec("linear", {"dim": 8}), "block": ModuleSpec("transformer", {"heads": 2})}
    frozen = {name: Frozen(char * 64, spec) for (name, spec), char in zip(specs.items(), "ab", strict=True)}
    embed, block = (build(spec, [Tokens(4, 8)], seeded(i)) for i, spec in enumerate(specs.values()))
    states = {"a" * 64: embed.state_dict(), "b" * 64: block.state_dict(), "c" * 64: pool_state}
    loras = [Draft(f"lora{i}", ModuleSpec("lora", {"rank": 2, "target": "query.weight"})) for i in (1, 2)]
    steps = {
        "tokens": Step((frozen["embed"],), ("x",)),
        "query": Step((Draft("pool", ModuleSpec("pool")),), ("tokens",)),
        "block": Step(
            (frozen["block"],) * 3, ("tokens",), Frozen("c" * 64, ModuleSpec("keyed_pool", {"experts": 3})),
            tuple(DeltaRef(i + 1, lora) for i, lora in enumerate(loras)), gate=("query",),
        ),
    }
    path = Path({"x": Tokens(4, 8)}, steps, "block")
    module = PathModule(path, lambda ref: states[ref.id] if isinstance(ref, Frozen) else seeded(5))
    with torch.no_grad():
        for i, draft in enumerate(module.drafts().values()):
            for parameter in draft.parameters():
                parameter.copy_(noise(*parameter.shape, seed=40 + i))
    return module.eval(), embed.eval(), block.eval()


def test_r8_pretraining_inputs_pass_unmodified_to_the_bit():
    kinds = 2 * noise(3, 1, 1, 8, seed=3) + 0.3 * noise(3, 20, 4, 8, seed=4)
    _, embed, _ = modulated(make(3, 8).state_dict())
    keys = make(3, 8)
    for i, x in enumerate(kinds):
        keys.place(i, embed(x, context=Context()).mean(1).detach())
    module, embed, block = modulated(keys.state_dict())
    plain = [block(embed(x, context=Context()), context=Context()) for x in kinds]
    assert torch.equal(module(kinds[0]), plain[0])
    assert not torch.allclose(module(kinds[1]), plain[1], atol=1e-3)
    assert not torch.allclose(module(kinds[2]), plain[2], atol=1e-3)
    together = module(kinds[:2].flatten(0, 1))  # in one batch with data of another kind: only rounding
    torch.testing.assert_close(together[:20], plain[0], atol=1e-5, rtol=1e-5)


def test_r8_nothing_trains_the_query():
    pool, x = make().train(), noise(3, 6).requires_grad_()
    context = Context()
    pool(x, context=context)
    context.total_loss().backward()
    assert x.grad is None


def test_what_fits():
    fitting = BUILT_IN["keyed_pool"].fitting
    assert build(ModuleSpec("keyed_pool", fitting((Vector(3),))), [Vector(3)]).output == Vector(2)
    assert fitting((Image(1, 2, 2),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"experts": 0}, "`experts` must be a whole number of at least 1, found 0"),
        ({"experts": 2, "pull": -1}, "`pull` must be at least 0, found -1"),
        ({"experts": 2, "penalty": "much"}, "`penalty` must be a finite number, found 'much'"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("keyed_pool", config), [Vector(4)])
