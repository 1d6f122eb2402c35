"""Checks of what is installed: Python, the packages that are needed, the extras, torch and what it computes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from .doctor import FAIL, OFF, OK, WARN, Check

PACKAGE = "evolving-pathways"
PYTHON = (3, 11)
_IMPORTED_AS = {"pyyaml": "yaml", "scikit-learn": "sklearn", "pillow": "PIL", "psycopg": "psycopg"}
_DEVELOPMENT = ("dev", "docs", "test")


def checks() -> list[tuple[str, Callable[[], Check | Iterator[Check]]]]:
    """The checks by name, in order."""
    return [("Python", python), ("packages", packages), ("torch", torch_works), ("numerics", numerics_agree),
            ("GPU", gpu), ("extras", extras), ("completion", completion)]  # fmt: skip


def python() -> Check:
    """The interpreter is one that the package runs on."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        return Check("Python", FAIL, f"{found}, needs {wanted}", f"make an environment with Python {wanted} or newer")
    return Check("Python", OK, f"{found} in {sys.prefix}")


def packages() -> Iterator[Check]:
    """All packages that are needed are here, in versions that are new enough, and can be imported."""
    try:
        needed = requires(PACKAGE) or []
    except PackageNotFoundError:
        yield Check("packages", WARN, f"{PACKAGE} is not installed, only imported", "install it: `pip install -e .`")
        return
    wrong = [said for line in needed if "extra ==" not in line if (said := _wrong(line, load=True))]
    for name, what in wrong:
        yield Check(name, FAIL, what, f"install it: `pip install '{_requirement(name, needed)}'`")
    if not wrong:
        count = sum("extra ==" not in line for line in needed)
        yield Check("packages", OK, f"{PACKAGE} {version(PACKAGE)} and the {count} packages it needs")


def extras() -> Iterator[Check]:
    """Which of the optional parts are here."""
    try:
        lines = [line for line in requires(PACKAGE) or [] if "extra ==" in line]
    except PackageNotFoundError:
        return
    for extra in dict.fromkeys(_extra(line) for line in lines):
        if extra in _DEVELOPMENT:
            continue
        wrong = [said for line in lines if _extra(line) == extra if (said := _wrong(line))]
        how = f"`pip install '{PACKAGE}[{extra}]'`"
        if wrong:
            yield Check(f"extra {extra}", OFF, "; ".join(f"{name} {what}" for name, what in wrong), f"if wanted: {how}")
        else:
            yield Check(f"extra {extra}", OK, "installed")


def torch_works() -> Check:
    """A small product and its gradient come out right."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("torch", FAIL, f"it cannot be imported: {' '.join(str(error).split()):.160}",
                     "install it: `pip install torch` (see pytorch.org for builds with CUDA)")  # fmt: skip
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = (x @ x).sum()
    y.backward()
    right = float(y.detach()) == 54.0 and x.grad is not None and x.grad.tolist() == [[7.0, 11.0], [9.0, 13.0]]
    if not right:
        return Check("torch", FAIL, f"{torch.__version__} multiplies wrong: {float(y.detach())} in place of 54",
                     "install it anew: `pip install --force-reinstall torch`")  # fmt: skip
    threads = _threads(torch.get_num_threads())
    return Check("torch", OK, f"{torch.__version__}, multiplies and differentiates right, {threads}")


def numerics_agree() -> Check:
    """Equal work gives equal bits, on which reproducibility and `verify` stand."""
    import torch

    from pathways.trainer.numerics import numerics, repeatable

    with repeatable():
        generator = torch.Generator().manual_seed(0)
        x, w = torch.randn(64, 128, generator=generator), torch.randn(128, 96, generator=generator)
        same = all(torch.equal(x @ w, x @ w) for _ in range(5))
    found = numerics()
    said = f"torch {found['torch']}, {found['capability']}, {found['device']}, {found['dtype']}, one thread"
    if not same:
        return Check("numerics", FAIL, f"{said}: one product, computed twice, differs",
                     "runs cannot be reproduced here: check memory and processor, or install torch anew")  # fmt: skip
    return Check("numerics", OK, f"{said}: runs of this fingerprint agree to the bit")


def gpu() -> Check:
    """Which GPUs torch can use."""
    import torch

    if not torch.cuda.is_available():
        return Check("GPU", OFF, "none that torch can use: trainers compute on the processor")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Check("GPU", OK, f"{', '.join(names)}: use with `--device cuda`")


def completion() -> Check:
    """Whether the user's shell completes commands."""
    shell = Path(os.environ.get("SHELL", "")).name
    files = {
        "bash": (".bashrc", ".bash_profile", ".bash_completion"),
        "zsh": (".zshrc", ".zprofile"),
        "fish": (".config/fish/config.fish", ".config/fish/completions/pathways.fish"),
        "tcsh": (".tcshrc", ".cshrc"),
    }.get(shell)
    if files is None:
        return Check("completion", OFF, f"no completion for the shell {shell or 'of this session'}")
    here = [name for name in files if "pathways" in _text(Path.home() / name)]
    if here:
        return Check("completion", OK, f"{shell} completes `pathways`, by ~/{here[0]}")
    how = {
        "bash": "add `eval \"$(pathways completion bash)\"` to ~/.bashrc",
        "zsh": "`pathways completion zsh > ~/.zfunc/_pathways`, with ~/.zfunc in $fpath",
        "fish": "`pathways completion fish > ~/.config/fish/completions/pathways.fish`",
        "tcsh": "`pathways completion tcsh > ~/.pathways.tcsh`, and `source ~/.pathways.tcsh` in ~/.tcshrc",
    }[shell]
    return Check("completion", OFF, f"{shell} does not complete `pathways` yet", f"if wanted: {how}")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _extra(line: str) -> str:
    match = re.search(r"extra == ['\"]([^'\"]+)['\"]", line)
    return match[1] if match else ""


def _requirement(name: str, lines: list[str]) -> str:
    return next((line.partition(";")[0].strip() for line in lines if _name(line) == name), name)


def _name(line: str) -> str:
    match = re.match(r"[A-Za-z0-9][\w.-]*", line)
    return match[0] if match else line


def _wrong(line: str, load: bool = False) -> tuple[str, str] | None:
    """The name of a requirement that is not met, and how; `None` where it is met."""
    name = _name(line)
    try:
        here = version(name)
    except PackageNotFoundError:
        return name, "is not installed"
    least = re.search(r">=\s*([\d.]+)", line.partition(";")[0])
    if least and _numbers(here) < _numbers(least[1]):
        return name, f"is {here}, needs {least[1]}"
    if load and name != "ray":  # whose import takes seconds; it has a check of its own
        try:
            import_module(_IMPORTED_AS.get(name.lower(), name.replace("-", "_")))
        except (ImportError, OSError) as error:
            return name, f"cannot be imported: {' '.join(str(error).split()):.120}"
    return None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])
