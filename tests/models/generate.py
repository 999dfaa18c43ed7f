"""Writes the architectures of the model list as ONNX files with seeded random weights.

Usage: generate.py [--out FOLDER] [--check] [NAME...]     (no names: all; --check also runs them in ONNX Runtime)
"""
import argparse
import os
import sys
import time
from pathlib import Path

import onnx

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import architectures  # noqa: E402
from command import CACHE  # noqa: E402


def generate(name: str, folder: Path = CACHE) -> Path:
    """The path of a model, written if it is not there yet. Safe with several processes at once."""
    path = folder / f"{name}.onnx"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{name}.{os.getpid()}"
        onnx.save(architectures.ALL[name].build(), unfinished)
        unfinished.rename(path)
    return path


def check(name: str, path: Path) -> None:
    """Verifies the file and prints the range of its outputs."""
    import numpy as np
    from reference import Reference
    onnx.checker.check_model(str(path), full_check=True)
    reference, architecture = Reference(path), architectures.ALL[name]
    for size in architecture.sizes:
        outputs = reference(architecture.inputs(np.random.default_rng(0), size))
        for output, array in outputs.items():
            print(f"  {output} {array.shape}: mean {array.mean():.3g}, deviation {array.std():.3g}, "
                  f"within [{array.min():.3g}, {array.max():.3g}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=CACHE)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    flags = parser.parse_args()
    for name in flags.names or architectures.ALL:
        start = time.time()
        path = generate(name, flags.out)
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB, {time.time() - start:.1f} s)", flush=True)
        if flags.check:
            check(name, path)


if __name__ == "__main__":
    main()
