"""Compiles Magika's file-type classifier (from its PyPI package) and tells the types of some files with it.

Usage: demo.py [FILE...]. Everything goes through the command line `eyrie`, as a user would do it.
"""
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
EYRIE = os.environ.get("EYRIE", str(ROOT / "build/release/bin/eyrie"))
PACKAGE = "magika==1.0.3"
FOLDER = "magika/models/standard_v3_3/"


def fetch(folder: Path) -> dict:
    """Brings the model and its configuration into `folder`; returns the configuration."""
    if not (folder / "model.onnx").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                        "--disable-pip-version-check", "-d", str(folder), PACKAGE], check=True)
        with zipfile.ZipFile(next(folder.glob("magika-*.whl"))) as wheel:
            for name in ("config.min.json", "model.onnx"):
                (folder / name).write_bytes(wheel.read(FOLDER + name))
    return json.loads((folder / "config.min.json").read_text())


def features(path: Path, config: dict) -> np.ndarray:
    """The first and last bytes of a file as the model wants them: int32[beg_size + end_size]."""
    data, pad = path.read_bytes(), config["padding_token"]
    head = list(data[:config["block_size"]].lstrip()[:config["beg_size"]])
    tail = list(data[-config["block_size"]:].rstrip()[-config["end_size"]:])
    head += [pad] * (config["beg_size"] - len(head))
    tail = [pad] * (config["end_size"] - len(tail)) + tail
    return np.array(head + tail, np.int32)


def run(*command: str) -> None:
    print("$ " + " ".join(os.path.relpath(c) if os.path.isabs(c) else c for c in command), flush=True)
    subprocess.run(command, check=True)


def main() -> None:
    work = ROOT / "build/demo"
    config = fetch(work)
    paths = [Path(p) for p in sys.argv[1:]] or [ROOT / p for p in (
        "README.md", "CMakeLists.txt", "CMakePresets.json", "tools/dev/demo.py", "tools/dev/demo.sh",
        "runtime/base/status.cpp")]
    np.save(work / "files.npy", np.stack([features(p, config) for p in paths]))
    run(EYRIE, "compile", str(work / "model.onnx"), "-o", str(work / "magika.eyr"))
    run(EYRIE, "run", str(work / "magika.eyr"), "--input", f"bytes=@{work / 'files.npy'}",
        "--output", f"target_label=@{work / 'labels.npy'}")
    scores = np.load(work / "labels.npy")
    print(f"\n{'file':40} type        confidence")
    for path, row in zip(paths, scores):
        print(f"{os.path.relpath(path, ROOT):40} {config['target_labels_space'][row.argmax()]:12}{row.max():8.1%}")


if __name__ == "__main__":
    main()
