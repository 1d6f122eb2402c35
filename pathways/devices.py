"""Which devices trainers can compute on here, and which one each of them gets."""

from __future__ import annotations

import re

from .errors import ConfigError

_NAMED = re.compile(r"cuda(?::(\d+))?")


def checked_device(wanted: object) -> str:
    """The device as asked for; nothing is looked up, so torch is not imported.

    Raises:
        ConfigError: it is not `auto`, `cpu`, `cuda` or `cuda:N`.
    """
    if not isinstance(wanted, str) or not (wanted in ("auto", "cpu") or _NAMED.fullmatch(wanted)):
        raise ConfigError(f"`device` must be `cpu`, `cuda`, `cuda:N` or `auto`, found {wanted!r}.")
    return wanted


def device_here(wanted: object) -> str:
    """The device that trainers compute on: what was asked for, `auto` resolved to `cuda` or `cpu`.

    Args:
        wanted: `cpu`, `cuda` (any), `cuda:N` (that one), or `auto`: `cuda` where there is one, else `cpu`.

    Raises:
        ConfigError: no such device is here; the message says what is.

    Example:
        >>> device_here("cpu")
        'cpu'
    """
    device = checked_device(wanted)
    if device == "cpu":
        return device
    names = _gpus()
    if device == "auto":
        return "cuda" if names else "cpu"
    number = _number(device)
    if not names or (number is not None and number >= len(names)):
        found = "".join(f", `cuda:{i}` ({name})" for i, name in enumerate(names))
        why = "" if names else f": {_why_none()}"
        raise ConfigError(f"`device` must be one that is here, found {device!r}, here is `cpu`{found}{why}.")
    return device


def of_worker(device: str, index: int) -> str:
    """The device of the worker of that number: where any GPU will do, one after another in turn.

    Example:
        >>> of_worker("cpu", 3), of_worker("cuda:1", 3)
        ('cpu', 'cuda:1')
    """
    return f"cuda:{index % max(1, len(_gpus()))}" if device == "cuda" else device


def kind_of(device: str) -> str:
    """`cpu` or `cuda`: what results depend on, whichever GPU of several it is.

    Example:
        >>> kind_of("cuda:1")
        'cuda'
    """
    return device.partition(":")[0]


def _number(device: str) -> int | None:
    named = _NAMED.fullmatch(device)
    return int(named[1]) if named and named[1] else None


def _gpus() -> list[str]:
    """The names of the GPUs here, by number."""
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _why_none() -> str:
    import torch

    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA, install a build with it"
    return "torch finds no GPU, look at its driver and at `CUDA_VISIBLE_DEVICES`"


__all__ = ["checked_device", "device_here", "kind_of", "of_worker"]
