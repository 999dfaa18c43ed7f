#!/usr/bin/env python3
"""Stands in for `eyrie` where tests are to run on another kind of processor:

    PATH=$PWD/build/venv/bin:$PATH EYRIE_EMULATE=rv64gcv EYRIE=tests/emulated_eyrie.py python -m pytest tests/ops -n 2 -q

`compile` gets --cpu (unless the test says one), `run` of a module for that processor goes to its `eyrie-run` under qemu;
all else is the real `eyrie` ($EYRIE_REAL, default build/release/bin/eyrie). What `eyrie-run` does not know, such as
sequences as outputs, fails. Slow: the tests of this repository run a part of it (tests/models/test_emulated.py).
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REAL = os.environ.get("EYRIE_REAL", str(ROOT / "build/release/bin/eyrie"))
os.environ["EYRIE"] = REAL

from command import save_npz  # noqa: E402
from emulation import PROCESSORS, eyrie_run  # noqa: E402

PROCESSOR = {processor.cpu: processor for processor in PROCESSORS}[os.environ["EYRIE_EMULATE"]]


def facts(module) -> dict:
    done = subprocess.run([REAL, "inspect", module, "--json"], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def run(module, outputs, arguments) -> int:
    """`eyrie run` with archives, by `eyrie-run` with a file for each array."""
    with tempfile.TemporaryDirectory() as folder:
        command, archive = [*eyrie_run(PROCESSOR), "run", module], None
        for flag, value in zip(arguments[::2], arguments[1::2]):
            if flag == "--input" and value.startswith("@"):
                for number, (name, array) in enumerate(np.load(value[1:]).items()):
                    np.save(f"{folder}/in{number}.npy", array)
                    command += [flag, f"{name}=@{folder}/in{number}.npy"]
            elif flag == "--output" and value.startswith("@"):
                archive = value[1:]
                for number, name in enumerate(outputs):
                    command += [flag, f"{name}=@{folder}/out{number}.npy"]
            else:
                command += [flag, value]
        code = subprocess.run(command).returncode
        if code == 0 and archive:
            save_npz(archive, {name: np.load(f"{folder}/out{number}.npy") for number, name in enumerate(outputs)})
        return code


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] == ["compile"] and not any(word.startswith("--cpu") for word in arguments):
        arguments.append(f"--cpu={PROCESSOR.cpu}")
    if arguments[:1] == ["run"] and len(arguments) % 2 == 0:
        about = facts(arguments[1])
        if any(code["format"] == f"elf-{PROCESSOR.arch}" for code in about.get("executables", [])):
            return run(arguments[1], [output["name"] for output in about["functions"][0]["outputs"]], arguments[2:])
    return subprocess.run([REAL, *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main())
