"""The models that the exporters are tried on: by name, how to make one and how to call it.

A family is a file here with `CASES`. It imports its packages inside functions only, so that the list of names needs
none of them.
"""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

EXPORTERS = ["torchscript", "dynamo"]


@dataclass
class Exportable:
    """A PyTorch module with random weights. `inputs`: arguments by name, in order; `axes`: which of their axes get which
    symbol in the dynamic export; `others`: inputs of other sizes for the dynamic model; `by_score`: row i of every output
    describes one find, and finds stand in the order of scores, of which some are equal but for rounding."""
    module: object
    inputs: dict
    axes: dict = field(default_factory=dict)
    others: list = field(default_factory=list)
    tolerance: float = 1e-4
    by_score: bool = False


@dataclass
class Exported:
    """What belongs to a model file: its feeds, one dictionary of arrays for each size, and how to compare. `is_rounded`:
    the model rounds to few levels at every step, and ONNX Runtime differs from itself."""
    feeds: list
    tolerance: float
    by_score: bool = False
    is_rounded: bool = False


@dataclass
class TorchCase:
    """`build` makes the Exportable; the random numbers are seeded before."""
    name: str
    build: Callable[[], Exportable]

    def variants(self):
        return [f"{exporter}-{axes}" for exporter in EXPORTERS for axes in ("fixed", "dynamic")]

    def export(self, variant: str, path: Path):
        """Writes the model; returns the Exported."""
        import torch
        torch.manual_seed(1)
        torch.backends.mha.set_fastpath_enabled(False)  # its operation is none that an exporter knows
        made = self.build()
        module = made.module.eval()
        dynamic = variant.endswith("-dynamic")
        options = {"input_names": list(made.inputs), "dynamo": variant.startswith("dynamo"), "opset_version": 18}
        if dynamic and options["dynamo"]:
            options["dynamic_shapes"] = tuple(
                {axis: torch.export.Dim.DYNAMIC for axis in made.axes.get(name, {})} or None for name in made.inputs)
        elif dynamic:
            options["dynamic_axes"] = made.axes
        with torch.no_grad():
            torch.onnx.export(module, tuple(made.inputs.values()), str(path), verbose=False, **options)
        feeds = [made.inputs, *(made.others if dynamic else [])]
        feeds = [{name: value.numpy() for name, value in feed.items()} for feed in feeds]
        return Exported(feeds, made.tolerance, made.by_score)


@dataclass
class TableCase:
    """A model of rows of numbers; `build` returns the ONNX model and the rows."""
    name: str
    build: Callable
    tolerance: float = 1e-4

    def variants(self):
        return ["converter"]

    def export(self, variant: str, path: Path):
        import onnx
        model, rows = self.build()
        onnx.save(model, path)
        name = model.graph.input[0].name
        return Exported([{name: rows}, {name: rows[:1]}], self.tolerance)


def all_cases() -> dict:
    from . import more_transformers, precisions, tables, torchvision, transformers
    families = torchvision, transformers, more_transformers, tables, precisions
    return {case.name: case for family in families for case in family.CASES}
