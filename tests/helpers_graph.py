"""Path graphs of any number of tasks that share modules, made from paths without weights."""

import hashlib

from pathways.graph import graph_of
from pathways.modules import Frozen, Image, ModuleSpec, Vector
from pathways.path import DeltaRef, Path, Step

PORT = Image(1, 8, 8)
CONV = ModuleSpec("conv", {"channels": 2, "stride": 2})  # 20 parameters on one channel, 38 on two
FIRST, SECOND, HEAD = 20, 38, 27
HOSTILE = (
    "</script><script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "a & b < c", "日本語", "שלום עולם",
    "${x}`", "very long " * 30, "\u2028line", "{{x}}", "<!-- ",
)  # fmt: skip
"""Names that a page must show as they are."""


def frozen(spec, *names):
    return Frozen(hashlib.sha256(repr(names).encode()).hexdigest(), spec)


ROOT = Path(
    {"image": PORT},
    {"a": Step((frozen(CONV, "root", 0),), ("image",)), "b": Step((frozen(CONV, "root", 1),), ("a",))},
    "b",
)


def stream_path(task, second):
    """Two convolutions, the second one trained for `second` (the root's where None), flatten, and the task's head."""
    return Path(
        {"image": PORT},
        {
            "a": Step((frozen(CONV, "root", 0),), ("image",)),
            "b": Step((frozen(CONV, "root", 1) if second is None else frozen(CONV, second, "second"),), ("a",)),
            "flat": Step((frozen(ModuleSpec("flatten"), "flatten"),), ("b",)),
            "head": Step((frozen(ModuleSpec("classifier", {"classes": 3}), task, "head"),), ("flat",)),
        },
        "head",
    )


def stream(names):
    """The graph of tasks of these names: of each three, one reads the root, one has a module, one shares that one."""
    paths = {}
    for i, name in enumerate(names):
        paths[name] = stream_path(name, None if i % 3 == 0 else names[i - (i % 3) + 1])
    return graph_of(paths, [ROOT])


def rich_path():
    """Two modules weighed by a router, one of them changed by a delta, and a module that reads two steps."""
    linear = ModuleSpec("linear", {"dim": 4})
    steps = {
        "wide": Step(
            (frozen(linear, "m", 0), frozen(linear, "m", 1)),
            ("x",),
            frozen(ModuleSpec("topk_router", {"experts": 2, "k": 1}), "router"),
            (DeltaRef(0, frozen(ModuleSpec("lora", {"rank": 1}), "delta")),),
        ),
        "both": Step((frozen(ModuleSpec("concat"), "concat"),), ("wide", "x")),
        "head": Step((frozen(ModuleSpec("classifier", {"classes": 2}), "h"),), ("both",)),
    }
    return Path({"x": Vector(6)}, steps, "head")
