"""What each method, data set and library is cited by: one literal table, of keys in `citations.bib`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path as FilePath

_FILE = FilePath(__file__).with_name("citations.bib")

_TAG = ("fifty2021tag",)
_MUNET = ("gesmundo2022munet",)
_PATHNET = ("fernando2017pathnet",)
_CONTROLS = ("gesmundo2022munet", "vandeven2019three")

CITED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "software": {
        "torch": ("paszke2019pytorch",), "optuna": ("akiba2019optuna",), "ray": ("moritz2018ray",),
    },
    "strategy": {
        "munet": _MUNET, "mu2Net": ("gesmundo2022mu2net",), "mu3Net": ("gesmundo2022mu3net",),
        "mu4Net": ("gesmundo2023mu4net",), "steady": ("whitley1989genitor", "real2017large"),
        "pathnet": _PATHNET, "pathnet-always": _PATHNET, "random-path": _PATHNET, "pathnet-fine-tune": _PATHNET,
        "independent": _CONTROLS, "fine-tune-all": _CONTROLS, "head-only": _CONTROLS,
        "fine-tune": _CONTROLS, "joint": _CONTROLS,
    },
    "setting": {
        "adamw": ("loshchilov2019adamw",), "sgd": ("sutskever2013momentum",), "cosine": ("loshchilov2017sgdr",),
        "label_smoothing": ("szegedy2016rethinking",), "bfloat16": ("kalamkar2019bfloat16",),
        "class_means": ("mensink2013distance",), "discriminant": ("hastie2009elements",),
        "optuna": ("akiba2019optuna",), "tpe": ("bergstra2011tpe",), "median": ("golovin2017vizier",),
        "paired": ("mcnemar1947note", "schlag2008exact", "maron1994hoeffding", "birattari2002frace"),
        "guard": ("wang2019negative",), "prior": ("thompson1933likelihood", "russo2018tutorial", "bao2019information"),
        "temperature": ("raffel2020t5", "mahabadi2021hyperformer"),
        "multipath": ("gesmundo2023mu4net",), "deltas": ("houlsby2019adapters", "hu2022lora"),
        "joint affinity": _TAG,
    },
    "measure": {
        "BWT, FWT": ("lopezpaz2017gem",), "forgetting": ("chaudhry2018riemannian",),
        "learning accuracy": ("riemer2019mer",),
    },
    "affinity": {"study": ("fifty2021tag", "azorin2023match")},
    "rule": {
        "tag": _TAG, "disjoint": ("standley2020which",), "standley": ("standley2020which",),
        "taskonomy": ("zamir2018taskonomy",),
    },
    "estimator": {
        "ahp": ("zamir2018taskonomy", "saaty1987ahp"),
        "dependence": ("bordt2025train", "holm1979simple", "benjamini1995controlling"),
        "first_order": _TAG, "gradient_cosine": ("fifty2021tag", "du2018adapting"),
        "h_score": ("bao2019information", "ibrahim2021newer"), "leep": ("nguyen2020leep",),
        "linearised": ("li2024gradtag",), "logme": ("you2021logme", "you2022ranking"), "lookahead": _TAG,
        "nce": ("tran2019transferability",), "outlier": ("emami2025rmtgb",), "pairs": ("standley2020which",),
        "projected_gradients": ("li2024gradtag", "fifty2021tag"), "relevance": ("wang2023l1amtrl", "chen2022amtrl"),
        "task2vec": ("achille2019task2vec",), "trans_rate": ("huang2022transrate",),
        "transfer": ("zamir2018taskonomy",),
    },
    "source": {
        "omniglot": ("lake2015human",), "omniglot_background": ("lake2015human",), "clinc150": ("larson2019clinc",),
        "cmaterdb": ("das2012genetic", "das2012statistical"), "fsdd": ("jackson2018fsdd",),
        "digit_pairs": ("vielzeuf2018centralnet", "lecun1998gradient", "jackson2018fsdd"),
        "mnist": ("lecun1998gradient",), "fashion_mnist": ("xiao2017fashion",),
        "digits": ("alpaydin1998digits", "pedregosa2011sklearn"),
        "digits_tasks": ("alpaydin1998digits", "pedregosa2011sklearn"),
        "wine": ("aeberhard1991wine", "pedregosa2011sklearn"),
        "breast_cancer": ("wolberg1995breast", "pedregosa2011sklearn"),
        "diabetes": ("efron2004lars", "pedregosa2011sklearn"),
    },
    "family": {
        "adaln": ("peebles2023dit", "reuss2024mode"), "adapter": ("houlsby2019adapters", "rebuffi2018residual"),
        "adapter_generator": ("mahabadi2021hyperformer",), "add": ("lample2019xlm", "he2016resnet"),
        "agreement": ("sabour2017capsules",), "any_length": ("vaswani2017attention",), "as_tokens": ("chen2020igpt",),
        "bottleneck": ("houlsby2019adapters", "pfeiffer2020madx"),
        "channel_attention": ("chen2025m3net", "hu2018squeeze"), "channel_gate": ("chen2025m3net",),
        "classifier": ("bishop2006pattern",), "conditional_attention": ("pilault2021camtl",),
        "conditional_norm": ("pilault2021camtl",), "conditioned_router": ("reuss2024mode", "fedus2022switch"),
        "connector": ("gesmundo2023mu4net",),
        "conv": ("lecun1998gradient", "he2016resnet", "ioffe2015batchnorm", "wu2018groupnorm"),
        "conv_stem": ("chollet2017xception", "kaiser2017multimodel"),
        "cosine": ("gidaris2018dynamic", "radford2021clip"),
        "cross_attention": ("bakshandaeva2021fusion", "vaswani2017attention"),
        "decoder": ("vaswani2017attention", "kaiser2017multimodel"), "dilated_conv": ("kalchbrenner2016bytenet",),
        "embed": ("bengio2003neural", "gehring2017convs2s"), "entropy_router": ("mustafa2022limoe",),
        "events": ("antoniades2023neuroformer",), "expert_memory": ("ye2023taskexpert",),
        "fields": ("gorishniy2021revisiting",), "gated_attention": ("pramanik2019omninet",),
        "hyper_adapter": ("mahabadi2021hyperformer",), "hypergrid": ("tay2021hypergrid",),
        "hypernetwork": ("ha2017hypernetworks",), "ia3": ("liu2022ia3",),
        "invertible": ("pfeiffer2020madx", "dinh2015nice"), "keyed_pool": ("schmied2023l2m", "wang2022l2p"),
        "learned_tokens": ("jaegle2021perceiver", "nagrani2021bottlenecks"), "linear": ("rumelhart1986learning",),
        "log_mel": ("young2002htk",), "lora": ("hu2022lora",), "lora_inventory": ("ponti2022poly", "caccia2022mhr"),
        "match": ("radford2021clip",), "mlp": ("rumelhart1986learning", "vaswani2017attention"),
        "modulation": ("peebles2023dit", "perez2018film"),
        "moe": ("shazeer2017moe", "reuss2024mode", "liang2022m3vit"),
        "moe_attention": ("zhang2022moa", "chen2023modsquad"), "mu_law": ("reed2022gato",),
        "mutual_router": ("chen2023modsquad", "chen2023heterogeneous"), "patches": ("dosovitskiy2021vit",),
        "path_router": ("gesmundo2023mu4net",), "poly": ("ponti2022poly", "caccia2022mhr"),
        "pool_adapter": ("zhou2023infmllm",),
        "positions": ("vaswani2017attention", "gehring2017convs2s", "jaegle2021perceiver"),
        "prefix": ("li2021prefix", "zhang2023llamaadapter"), "quantise": ("oord2017vqvae",),
        "query": ("jaegle2022perceiverio",), "regressor": ("bishop2006pattern",),
        "residual_conv": ("he2016resnet", "he2016identity"), "selector": ("tao2023apem", "hu2018squeeze"),
        "separable_block": ("kaiser2017multimodel",), "separable_conv": ("chollet2017xception", "kaiser2017multimodel"),
        "sequence": ("devlin2019bert",), "shift_right": ("vaswani2017attention", "kaiser2017multimodel"),
        "span": ("devlin2019bert", "seo2017bidaf"), "state_space": ("gu2023mamba", "gu2022s4d"),
        "tabular": ("sinodinos2025multitab", "somepalli2021saint"), "tags": ("chu2023qwenaudio",),
        "task_token": ("yan2024tpo",), "topk_router": ("shazeer2017moe",),
        "transformer": ("vaswani2017attention", "xiong2020layernorm", "chowdhery2022palm"),
        "tuned_norms": ("lu2021universal",), "weight_generator": ("ha2017hypernetworks",),
    },
    "preset": {
        "adapter-stack": ("pfeiffer2020madx",), "adapters": ("houlsby2019adapters",),
        "audio-frames": ("kaiser2017multimodel", "young2002htk"), "blind": ("baltrusaitis2019multimodal",),
        "bottleneck-fusion": ("nagrani2021bottlenecks",), "bottlenecks-in-turn": ("nagrani2021bottlenecks",),
        "bytenet": ("kalchbrenner2016bytenet",), "caches": ("pramanik2019omninet",),
        "capsules": ("sabour2017capsules",), "channel-gates": ("chen2025m3net",),
        "class-token": ("devlin2019bert", "dosovitskiy2021vit"), "co-attention": ("lu2019vilbert",),
        "conditional-transformer": ("pilault2021camtl",),
        "conv-entry": ("chollet2017xception", "kaiser2017multimodel"),
        "convnet": ("lecun1998gradient", "he2016resnet", "rebuffi2018residual"),
        "cosine-scores": ("gidaris2018dynamic",), "denoising-experts": ("reuss2024mode",),
        "early-fusion": ("baltrusaitis2019multimodal",), "event-tokens": ("antoniades2023neuroformer",),
        "expert-memory": ("ye2023taskexpert",), "field-selectors": ("tao2023apem",),
        "frozen-trunk": ("lu2021universal",), "group-attention": ("huang2024group",),
        "hyper-adapters": ("mahabadi2021hyperformer",), "hypergrid": ("tay2021hypergrid",),
        "hypernetwork": ("ha2017hypernetworks",), "keyed-modulators": ("schmied2023l2m",),
        "late-fusion": ("baltrusaitis2019multimodal",), "mamba": ("gu2023mamba",),
        "merged-deltas": ("liu2022ia3", "hu2022lora"), "middle-fusion": ("baltrusaitis2019multimodal",),
        "mixture-of-mlps": ("shazeer2017moe", "hu2022lora"), "mlp": ("rumelhart1986learning",),
        "modality-experts": ("mustafa2022limoe",), "modality-nets": ("kaiser2017multimodel",),
        "modular-vision": ("chen2023modsquad", "chen2023heterogeneous"), "multi-head-routing": ("caccia2022mhr",),
        "multimodel-blocks": ("kaiser2017multimodel",), "multipath": ("gesmundo2023mu4net",),
        "noise-conditioned": ("peebles2023dit", "reuss2024mode"), "one-model": ("kaiser2017multimodel",),
        "one-tower": ("maclip2022",), "output-queries": ("jaegle2022perceiverio",),
        "palm": ("chowdhery2022palm", "radford2019gpt2"), "perceiver-io": ("jaegle2022perceiverio",),
        "perceiver": ("jaegle2021perceiver",), "pixel-tokens": ("chen2020igpt",), "poly": ("ponti2022poly",),
        "pool-adapter": ("zhou2023infmllm",), "prefixes": ("li2021prefix", "zhang2023llamaadapter"),
        "progressive": ("rusu2016progressive",), "quantised": ("oord2017vqvae",),
        "question-and-image": ("bakshandaeva2021fusion",), "reader": ("seo2017bidaf", "devlin2019bert"),
        "residual-mlp": ("gorishniy2021revisiting",), "resnet": ("he2016resnet", "he2016identity"),
        "row-fields": ("gorishniy2021revisiting",), "serialised": ("reed2022gato",),
        "sparse-experts": ("shazeer2017moe",), "tabular": ("sinodinos2025multitab",),
        "tagged-audio": ("chu2023qwenaudio",), "task-code": ("lample2019xlm", "johnson2017zeroshot"),
        "task-coded-gate": ("liang2022m3vit", "zhao2023jiuzhang"), "task-gates": ("liang2022m3vit",),
        "task-queries": ("hu2021unit",), "task-tokens": ("yan2024tpo",),
        "text-encoder": ("devlin2019bert", "xiong2020layernorm"), "two-rate-audio": ("kazakos2021slowfast",),
        "two-stream": ("lin2020interbert",), "two-tower": ("radford2021clip",),
        "unified-vocabulary": ("wang2022ofa",), "vision-transformer": ("dosovitskiy2021vit",),
        "xception": ("chollet2017xception", "kaiser2017multimodel"),
    },
}
"""By kind and name, the keys of what is cited: all that a family, a strategy, an estimator or a preset refers to."""


@cache
def entries() -> Mapping[str, str]:
    """The BibTeX entries by key, as they stand in the file.

    Example:
        >>> entries()["fernando2017pathnet"].splitlines()[0]
        '@article{fernando2017pathnet,'
    """
    text = _FILE.read_text(encoding="utf-8")
    found = re.findall(r"^(@\w+\{([^,\s]+),\n.*?^\})$", text, re.MULTILINE | re.DOTALL)
    return {key: entry for entry, key in found}


def cited(kind: str, name: str) -> tuple[str, ...]:
    """The keys of what a method is cited by; none where it has no publication, or is not in the table.

    Example:
        >>> cited("family", "lora"), cited("family", "flatten")
        (('hu2022lora',), ())
    """
    return CITED[kind].get(name, ())


__all__ = ["CITED", "cited", "entries"]
