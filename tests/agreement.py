"""Small models against a reference."""
import numpy as np
import onnx
from command import compile_model, run_module
from reference import Reference


def agree(folder, model, feeds, *flags, reference=None, tolerance=1e-5) -> dict:
    """Compiles the model, of one output `y`, with `flags` and compares it on one thread and on two: errors of at most
    `tolerance` of the largest value of `reference` (a model; by default this one). Returns what the compilation told."""
    onnx.save(model, folder / "m.onnx")
    told = compile_model(folder / "m.onnx", folder / "m.eyr", *flags)
    expect = Reference(reference or model)
    for feed in feeds:
        want = expect(feed)["y"]
        for threads in (1, 2):
            got = run_module(folder / "m.eyr", feed, folder, "--threads", threads)["y"]
            assert got.shape == want.shape
            error = np.abs(got - want).max(initial=0) / np.abs(want).max(initial=1e-30)
            assert error <= tolerance, f"an error of {error:.2g} with inputs {[value.shape for value in feed.values()]}"
    return told
