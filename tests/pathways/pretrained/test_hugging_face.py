import logging

import pytest
import torch
from helpers_tiny import task_of
from pretrained_networks import assembled

import pathways
from pathways import evolve
from pathways.candidate import Training
from pathways.errors import PathwaysError
from pathways.modules import Families, Frozen, Ids, Masked, ModuleSpec, Tokens, Vector, facts, port_to_json
from pathways.pretrained import GPT2, Bert, ViT, bert, gpt2, vit
from pathways.program import Program
from pathways.testing import ModuleFamilySuite

transformers = pytest.importorskip("transformers", reason="the extra `pretrained` is not installed")
logging.getLogger("transformers").setLevel(logging.ERROR)  # it says much of configurations as small as these

SMALL = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
IMAGES = {"image_size": 14, "patch_size": 7, "num_channels": 1}
TEXTS = {"vocab_size": 30, "max_position_embeddings": 40}
WORDS = {"vocab_size": 30, "n_positions": 40, "n_embd": 8, "n_layer": 3, "n_head": 2}
BOTH = pytest.mark.parametrize("attention", ["sdpa", "eager"])


def network(kind, config, seed=0, **settings):
    """A network with weights drawn anew, as none can be fetched."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**config, **settings))
        with torch.no_grad():
            for tensor in made.parameters():
                tensor.add_(0.1 * torch.randn(tensor.shape))
    return made.eval()


def texts(lengths, seed=1):
    ids = torch.randint(0, 30, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(seed))
    return Masked(ids, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])


def hidden(model, value):
    with torch.no_grad():
        if isinstance(value, Masked):
            return model(input_ids=value.value, attention_mask=value.mask.long()).last_hidden_state
        return model(value).last_hidden_state


@BOTH
@pytest.mark.parametrize("batch", [1, 5])
def test_a_vit_gives_its_bits(attention, batch):
    model = network("ViT", {**SMALL, **IMAGES}, attn_implementation=attention)
    images = torch.randn(batch, 1, 14, 14, generator=torch.Generator().manual_seed(2))
    assert torch.equal(assembled(vit(model), ViT)({"image": images}), hidden(model, images))
    assert torch.equal(assembled(vit(model, first=True), ViT)({"image": images}), hidden(model, images)[:, 0])


@BOTH
@pytest.mark.parametrize("lengths", [[6, 6], [9], [7, 3, 1, 5]])
@pytest.mark.parametrize(("kind", "splitter", "family"), [("Bert", bert, Bert), ("GPT2", gpt2, GPT2)])
def test_encoders_of_texts_give_their_bits(kind, splitter, family, lengths, attention):
    model = network(kind, {**SMALL, **TEXTS} if kind == "Bert" else WORDS, attn_implementation=attention)
    value = texts(lengths)
    found = assembled(splitter(model), family)({"ids": value})
    assert torch.equal(found.mask, value.mask)
    assert torch.equal(found.value[value.mask], hidden(model, value)[value.mask])
    same = value.value[:, : min(lengths)]
    fixed = splitter(model, length=same.shape[1], first=True)
    assert torch.equal(assembled(fixed, family)({"ids": same}), hidden(model, same)[:, 0])


@pytest.mark.parametrize(("kind", "config", "splitter", "family", "steps"), [
    ("ViT", {**SMALL, **IMAGES}, vit, ViT, ["embeddings", "block0", "block1", "block2", "norm"]),
    ("Bert", {**SMALL, **TEXTS}, bert, Bert, ["embeddings", "block0", "block1", "block2"]),
    ("GPT2", WORDS, gpt2, GPT2, ["embeddings", "block0", "block1", "block2", "norm"]),
])  # fmt: skip
def test_blocks_are_frozen_steps_of_one_family(kind, config, splitter, family, steps):
    root = splitter(network(kind, config), source="a checkpoint")
    assert list(root.path.steps) == steps
    assert {ref.spec.family for ref in root.path.refs()} == {family.family}
    assert all(isinstance(ref, Frozen) for ref in root.path.refs())
    assert root.source["weights"] == "a checkpoint"
    sizes = root.path.costs(Families([family])).sizes
    model = network(kind, config)
    assert sum(sizes.values()) == sum(p.numel() for n, p in model.named_parameters() if not n.startswith("pooler"))


def test_what_stands_behind_in_a_causal_network_is_not_seen():
    path = assembled(gpt2(network("GPT2", WORDS)), GPT2)
    value = texts([6, 6])
    other = Masked(torch.cat([value.value[:, :3], 29 - value.value[:, 3:]], dim=1), value.mask)
    first, second = path({"ids": value}).value, path({"ids": other}).value
    assert torch.equal(first[:, :3], second[:, :3])
    assert not torch.equal(first[:, 3:], second[:, 3:])


def test_an_encoder_is_found_in_a_model_with_a_head():
    config = transformers.BertConfig(**SMALL, **TEXTS, num_labels=3)
    model = transformers.BertForSequenceClassification(config).eval()
    value = texts([5, 4])
    found = assembled(bert(model), Bert)({"ids": value}).value[value.mask]
    assert torch.equal(found, hidden(model.bert, value)[value.mask])


def test_other_networks_are_refused():
    with pytest.raises(PathwaysError, match="must be a transformers BertModel or a model with one, found"):
        bert(network("ViT", {**SMALL, **IMAGES}))
    model = network("ViT", {**SMALL, **IMAGES})
    model.config._attn_implementation = "flex_attention"
    with pytest.raises(PathwaysError, match=r"attentions \['eager', 'sdpa'\], found 'flex_attention'"):
        vit(model)


def test_a_decoder_is_no_encoder():
    with pytest.raises(PathwaysError, match="to the bit"):
        bert(network("Bert", {**SMALL, **TEXTS}, is_decoder=True))


def spec(family, name, reads, output, model, attention):
    sizes = {"reads": port_to_json(reads), "output": port_to_json(output)}
    return ModuleSpec(family.family, {"submodule": name, **sizes, "model": {**model, "attention": attention}})


class TestBertBlock(ModuleFamilySuite):
    spec = spec(Bert, "block1", Tokens(None, 8), Tokens(None, 8), {**SMALL, **TEXTS}, "sdpa")
    ports = (Tokens(None, 8),)
    families = Families([Bert])
    refused = ((Vector(8),), (Tokens(5, 8),))


class TestGPT2Block(ModuleFamilySuite):
    spec = spec(GPT2, "block0", Tokens(None, 8), Tokens(None, 8), WORDS, "eager")
    ports = (Tokens(None, 8),)
    families = Families([GPT2])


class TestGPT2Embeddings(ModuleFamilySuite):
    spec = spec(GPT2, "embeddings", Ids(None, 30), Tokens(None, 8), WORDS, "sdpa")
    ports = (Ids(None, 30),)
    families = Families([GPT2])


def test_products_are_counted_where_there_are_few_positions():
    few = spec(GPT2, "embeddings", Ids(None, 30), Tokens(None, 8), {**WORDS, "n_positions": 5}, "sdpa")
    assert facts(few, [Ids(None, 30)], families=Families([GPT2])).flops == 0


class TestViTEmbeddings(ModuleFamilySuite):
    spec = spec(ViT, "embeddings", *vit(network("ViT", {**SMALL, **IMAGES})).path.inputs.values(), Tokens(5, 8),
                {**SMALL, **IMAGES}, "sdpa")  # fmt: skip
    ports = tuple(vit(network("ViT", {**SMALL, **IMAGES})).path.inputs.values())
    families = Families([ViT])


@pytest.mark.parametrize(("kind", "config", "splitter", "family"), [
    ("Bert", {**SMALL, **TEXTS}, bert, Bert), ("GPT2", WORDS, gpt2, GPT2),
])  # fmt: skip
def test_b11_a_run_on_texts_is_evolved_verified_and_exported(kind, config, splitter, family, tmp_path):
    def words(split, x):
        ids = (10 * x.clamp(-1, 1)).long() + 12
        lengths = 3 + torch.arange(len(ids)) % 4
        return {"text": Masked(ids, torch.arange(ids.shape[1]) < lengths[:, None])}

    task = task_of("one", {"text": Ids(None, 30)}, words)
    root = splitter(network(kind, config))
    strategy = evolve.MuNet(generations=1, children=2, rates={"clone:block1": 1.0}, mutable_rates=False)
    place, training = tmp_path / "run", Training(steps=4, batch=12)
    with pathways.System.create(place, root=root, families=[family], training=training, stack=1) as system:
        system.learn(task, strategy)
        assert system.verify().ok
        test = task.splits["test"].inputs["text"]
        program = Program(system.export("one", "pt2", tmp_path / "one.pt2"))
        for places in (6, 4):
            value = Masked(test.value[:, :places], test.mask[:, :places])
            expected = system.predict("one", {"text": value})
            assert torch.allclose(program(value.value, value.mask).softmax(1), expected, atol=1e-5)
