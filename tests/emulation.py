"""Processors of other kinds, under qemu's user mode, and the command line built for them (tools/dev/build.sh aarch64)."""
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from command import EYRIE, Result

BUILDS = Path(EYRIE).resolve().parents[2]


@dataclass(frozen=True)
class Processor:
    arch: str  # qemu's name, and the preset that builds for it
    cpu: str  # what to compile for
    model: str  # what qemu is to be: its option -cpu

    def __str__(self):
        return self.cpu


ARM = Processor("aarch64", "armv8-a", "cortex-a57")
ARM_SVE = Processor("aarch64", "armv8.6-a,+sve2", "max,sve256=on")
RISCV = Processor("riscv64", "rv64gc", "rv64")
RISCV_V = Processor("riscv64", "rv64gcv", "rv64,v=true,vext_spec=v1.0,vlen=128")
RISCV_V256 = Processor("riscv64", "rv64gcv_zvl256b", "rv64,v=true,vext_spec=v1.0,vlen=256")
PROCESSORS = [ARM, ARM_SVE, RISCV, RISCV_V, RISCV_V256]


def need(condition, reason: str) -> None:
    """Skips the test, or fails it where $EYRIE_REQUIRE_EMULATORS says that nothing may be missing."""
    if not condition:
        (pytest.fail if os.environ.get("EYRIE_REQUIRE_EMULATORS") else pytest.skip)(reason)


def eyrie_run(processor: Processor) -> list:
    """The beginning of a command that calls `eyrie-run` on the processor."""
    qemu, program = shutil.which(f"qemu-{processor.arch}"), BUILDS / processor.arch / "bin/eyrie-run"
    need(qemu, f"there is no qemu-{processor.arch}: tools/dev/setup.sh --cross installs it")
    need(program.exists(), f"there is no {program}: tools/dev/build.sh {processor.arch} builds it")
    return [qemu, "-cpu", processor.model, "-L", f"/usr/{processor.arch}-linux-gnu", str(program)]


def call_on(processor: Processor, *arguments, timeout=120) -> Result:
    command = [*eyrie_run(processor), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    return Result(command, done.returncode, done.stdout, done.stderr)


def run_module_on(processor: Processor, module, inputs: dict, outputs: list, folder: Path, *flags, timeout=120) -> dict:
    """Calls the module with arrays by name, and returns the outputs of these names."""
    files = []
    for number, (name, array) in enumerate(inputs.items()):
        np.save(folder / f"in{number}.npy", np.asarray(array, order="C"))
        files += ["--input", f"{name}=@{folder / f'in{number}.npy'}"]
    for number, name in enumerate(outputs):
        files += ["--output", f"{name}=@{folder / f'out{number}.npy'}"]
    result = call_on(processor, "run", module, *files, *flags, timeout=timeout)
    assert result.code == 0, f"the call should succeed:\n{result}"
    return {name: np.load(folder / f"out{number}.npy") for number, name in enumerate(outputs)}
