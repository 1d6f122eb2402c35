"""Exporting one task's path, alone."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.func import functional_call

from pathways.modules import Masked, Value
from pathways.modules.near import did_you_mean
from pathways.modules.spec import canonical_json

from .assemble import PathModule
from .errors import ConfigError, PathwaysError
from .exported import Exported, checked, description, input_names, output_name
from .files import write_atomically, write_json
from .freeze import flat, read_probe
from .manifest import TaskRecord, probe_file
from .path import Path
from .ready import Ready

if TYPE_CHECKING:
    from .system import System

FORMATS = ("pt2", "safetensors", "onnx", "root")
METADATA = "pathways"
"""Under this name files of the formats `pt2` and `onnx` hold their `description` as JSON."""


class Standalone(nn.Module):
    """A champion from stored inputs to scores, with positional tensors only.

    It takes each input in the order of the path's inputs, each followed by its mask where it has one. All weights
    stand at its top level, under flat names: a program looks each of them up in every pass, level by level.

    Args:
        record: the champion's record.
        model: its path, assembled.
    """

    def __init__(self, record: TaskRecord, model: PathModule) -> None:
        super().__init__()
        self._inputs = record.inputs
        self._champion = Ready(record, model)  # no module: what it holds is registered here
        self._names: dict[str, str] = {}
        for full, parameter in model.named_parameters():
            self.register_parameter(self._flat(full), parameter)
        for full, buffer in model.named_buffers():
            if not full.endswith(".num_batches_tracked"):  # of training
                self.register_buffer(self._flat(full), buffer)

    def _flat(self, full: str) -> str:
        """The name of a weight here, such as `module_0_conv_weight`; with its number where another has it."""
        name = full.removeprefix("held.").replace(".", "_")
        self._names[full] = name if name not in self._names.values() else f"{name}_{len(self._names)}"
        return self._names[full]

    def forward(self, *tensors: Tensor) -> Tensor:
        """Transform the inputs and run the path; (batch, classes) scores, or (batch, values) in the source's units."""
        left = list(tensors)
        stored: dict[str, Value] = {}
        for name, port in self._inputs.items():
            value = left.pop(0)
            stored[name] = Masked(value, left.pop(0)) if port.variable else value
        champion = self._champion
        weights = {full: getattr(self, name) for full, name in self._names.items()}
        outputs = functional_call(champion.model, weights, (champion.transformed(stored),))
        return champion.restored(outputs)


def export(system: System, task: str, format: str, out: FilePath) -> Exported:
    """Write one task's path, alone. A program is run on the task's stored probe before its file is there.

    Args:
        system: where the task was learned.
        task: its name.
        format: `pt2`, a program of `torch.export` with a dynamic batch, from stored inputs to scores, which
            `pathways.program.Program` runs with less delay than `torch.export.load(file).module()`;
            `onnx`, the same (needs the `onnx` extra); `safetensors`, the weights by module with path, transform
            and class names in the header; `root`, a folder with the headless path, for `System.create(root=...)`.
            What a file says of itself is `pathways.exported.description`.
        out: the file, or for `root` the folder.

    Returns:
        The file, and how far its program is from the champion.

    Raises:
        PathwaysError: a program does not answer as the champion does; then no file is left.
    """
    record = system._record(task)
    if format not in FORMATS:
        raise ConfigError(f"`format` must be one of {FORMATS}, found {format!r}{did_you_mean(format, FORMATS, '.')}")
    model = system.module(task)
    if format == "root":
        return Exported(_export_root(system, record, out), unchecked="a root has no head to answer with")
    out.parent.mkdir(parents=True, exist_ok=True)
    if format == "safetensors":
        tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        header = {"path": canonical_json(record.path.to_json()), "task": canonical_json(description(record))}
        write_atomically(out, to_bytes(tensors, metadata=header))
        return Exported(out, unchecked="weights alone do not run")
    if format == "onnx" and not (find_spec("onnx") and find_spec("onnxscript")):
        raise PathwaysError(
            "format 'onnx' needs the packages onnx and onnxscript: pip install 'evolving-pathways[onnx]'."
        )
    if system.mirror is not None:
        system.mirror.pull_probe(task)
    example, _ = read_probe(probe_file(system.directory, task).read_bytes())
    flattened = flat(example)
    arguments: list[Tensor] = []
    for name, port in record.path.inputs.items():
        arguments.append(flattened[f"input/{name}"])
        arguments += [flattened[f"mask/{name}"]] if port.variable else []
    return _write_program(Standalone(record, model).eval(), tuple(arguments), record, format, out)


def _write_program(
    module: nn.Module, arguments: tuple[Tensor, ...], record: TaskRecord, format: str, out: FilePath
) -> Exported:
    batch = torch.export.Dim("batch", min=1)
    length = torch.export.Dim.AUTO  # as far as the path allows: learned positions, say, bound it
    shapes: list[dict[int, Any]] = []
    for port in record.inputs.values():
        axes = {0: batch, **{i + 1: length for i, size in enumerate(port.shape) if size is None}}
        shapes.append(axes)
        shapes += [{0: batch, 1: length}] if port.variable else []
    with torch.no_grad():
        program = torch.export.export(module, arguments, dynamic_shapes=(tuple(shapes),))
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            temporary = FilePath(folder) / out.name
            said = canonical_json(description(record))
            if format == "pt2":
                torch.export.save(program, temporary, extra_files={METADATA: said})
            else:
                _write_onnx(program, record, said, temporary)
            found = checked(temporary, format, arguments, lambda batch: module(*batch))
            temporary.replace(out)
    return replace(found, file=out)


def _write_onnx(program: torch.export.ExportedProgram, record: TaskRecord, said: str, out: FilePath) -> None:
    with _quiet_about_torch():
        made = torch.onnx.export(
            program, (), dynamo=True, external_data=False, verbose=False, input_names=input_names(record),
            output_names=[output_name(record)],
        )  # fmt: skip
        if made is None:
            raise PathwaysError("torch.onnx.export gave no program: export another format.")
        made.model.metadata_props[METADATA] = said
        made.save(str(out), external_data=False)


@contextmanager
def _quiet_about_torch() -> Iterator[None]:
    """Without the exporter's notes on itself: packages that it could use too, and its own deprecated calls."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def _export_root(system: System, record: TaskRecord, out: FilePath) -> FilePath:
    head = record.path.steps[record.path.head]
    if len(head.reads) != 1:
        raise PathwaysError(f"a root ends in one step, the head of task {record.name!r} reads {list(head.reads)}.")
    trunk = Path(record.path.inputs, record.path.steps, head.reads[0])
    trunk = Path(trunk.inputs, {name: trunk.steps[name] for name in trunk.canonical_order}, trunk.output)
    out.mkdir(parents=True, exist_ok=True)
    system.pool.ensure(trunk.frozen())
    for blob in trunk.frozen():
        shutil.copyfile(system.pool.path(blob), out / f"{blob}.safetensors")
    write_json(out / "path.json", trunk.to_json())
    for stale in out.glob("*.safetensors"):
        if stale.stem not in trunk.frozen():
            stale.unlink()
    return out
