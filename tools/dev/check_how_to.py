#!/usr/bin/env python3
"""Runs the pages of docs/how-to: check_how_to.py [BUILD] (default build/release).

Of every page, in order and all in one folder: a fence with a file name after its language is written to that file; a
fence `sh` is run, with the build's programs in front of the path; a fence `text` right after it is compared with what
the commands printed, where "..." stands for anything.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["compile-and-run.md", "call-from-c.md"]
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```\n", re.M | re.S)


def matches(expected, actual):
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, actual.strip(), re.S) is not None


def run_page(page, folder, environment):
    text = (ROOT / "docs/how-to" / page).read_text()
    fences = [(text.count("\n", 0, m.start()) + 1, *m.groups()) for m in FENCE.finditer(text)]
    for i, (line, language, name, body) in enumerate(fences):
        if name:
            (folder / name).write_text(body)
        if language != "sh":
            continue
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", body], cwd=folder, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        expected = fences[i + 1][3] if i + 1 < len(fences) and fences[i + 1][1] == "text" else None
        if done.returncode != 0 or (expected is not None and not matches(expected, done.stdout)):
            print(f"docs/how-to/{page}:{line}: exit code {done.returncode}\n$ {body}{done.stdout}")
            if expected is not None:
                print(f"expected:\n{expected}")
            return False
    return True


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release").resolve()
    folders = [str(build / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": ":".join(folders), "EYRIE_SOURCE": str(ROOT), "EYRIE_BUILD": str(build)}
    with tempfile.TemporaryDirectory() as folder:
        good = all([run_page(page, Path(folder), environment) for page in PAGES])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
