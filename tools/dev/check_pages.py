#!/usr/bin/env python3
"""Checks what the pages say: check_pages.py [--demo] [BUILD] (default build/release).

README.md and the pages of docs/how-to are run, each in order and those of how-to all in one folder: a fence with a
file name after its language is written to that file; a fence `sh` is run, with the build's programs in front of the
path; a fence `text` right after it is compared with what the commands printed, where "..." stands for anything.
tools/dev/demo.sh installs and builds: the fence that calls it is run, in the checkout, with --demo alone.

The commands in tables of README.md are tried without their work: tests are collected, scripts print their help. Of
every page, the files that links and commands between backticks name must be there.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ["docs/how-to/compile-and-run.md", "docs/how-to/call-from-c.md", "docs/how-to/memory-and-threads.md",
          "docs/how-to/keep-state.md", "docs/how-to/replace-weights.md", "docs/how-to/sizes-and-functions.md",
          "docs/how-to/expand-operators.md", "docs/how-to/own-operators.md", "docs/how-to/other-processors.md",
          "docs/how-to/many-processors.md", "docs/how-to/smaller-weights.md",
          "docs/how-to/tune.md"]
# Pages with programs for other processors, and what runs these: with $EYRIE_REQUIRE_EMULATORS it must be there.
EMULATED = {"docs/how-to/other-processors.md": ["aarch64", "riscv64"]}
SPAN = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```\n", re.M | re.S)
DEMO = "tools/dev/demo.sh"
TESTS = "tools/dev/test.sh"  # runs this very script, so it is not run from here; CI has nothing else in it
PYTEST = "build/venv/bin/python -m pytest -n 2 -q"
# What makes a command only show that it would work, and what it prints then.
TRIALS = [(r"^build/venv/bin/python -m pytest ", "--collect-only", r"[1-9]\d* tests? collected"),
          (r"^ctest ", "-N", r"Total Tests: [1-9]"),
          (r"bench\.py$", "--help", "usage")]
GENERATED = re.compile(r"build/|.*_generated\.h$")

# The model that README.md speaks of.
MODEL = """
import numpy
import onnx
from onnx import TensorProto, helper

x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "height", "width"]) for name in "xy")
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "small", [x], [y])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "model.onnx")
numpy.save("x.npy", numpy.ones([2, 3, 8, 8], numpy.float32))
"""


def matches(expected, actual):
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, actual.strip(), re.S) is not None


def shell(body, folder, environment):
    return subprocess.run(["bash", "-euo", "pipefail", "-c", body], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200 if DEMO in body else 120)


def run_page(page, folder, environment, demo=False):
    text = (ROOT / page).read_text()
    fences = [(text.count("\n", 0, m.start()) + 1, *m.groups()) for m in FENCE.finditer(text)]
    for i, (line, language, name, body) in enumerate(fences):
        if name:
            (folder / name).write_text(body)
        if language != "sh" or (DEMO in body) != demo:
            continue
        body = re.sub(rf"^{TESTS}.*\n", "", body, flags=re.M)
        done = shell(body, ROOT if demo else folder, environment)
        expected = fences[i + 1][3] if i + 1 < len(fences) and fences[i + 1][1] == "text" else None
        if done.returncode != 0 or (expected is not None and not matches(expected, done.stdout)):
            print(f"{page}:{line}: exit code {done.returncode}\n$ {body}{done.stdout}")
            if expected is not None:
                print(f"expected:\n{expected}")
            return False
    return True


def try_commands(page, environment):
    """The commands of a page's tables; returns whether all would work."""
    good = TESTS in (ROOT / ".ci/run").read_text()
    if not good:
        print(f".ci/run: does not call {TESTS}")
    rows = [line for line in (ROOT / page).read_text().split("\n") if line.startswith("|")]
    for command in sorted({span for line in rows for span in SPAN.findall(line) if " " in span}):
        full = re.sub(r"^pytest", PYTEST, command)
        for pattern, flag, says in TRIALS:
            if re.search(pattern, full):
                done = shell(f"{full} {flag}", ROOT, environment)
                if done.returncode != 0 or not re.search(says, done.stdout):
                    print(f"{page}: `{command}` does not work: exit code {done.returncode}\n$ {full} {flag}\n{done.stdout}")
                    good = False
    return good


def named_files(text):
    """What a page names: targets of links, and paths in commands and names between backticks and in fences `sh`."""
    names = [(target.split("#")[0], False) for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    spans = SPAN.findall(FENCE.sub("", text))
    for command in spans + [line.split(" #")[0] for m in FENCE.finditer(text) if m[1] == "sh" for line in m[3].split("\n")]:
        for part in command.split("&&"):
            words = part.split()
            for word in words:
                if re.fullmatch(r"\w[\w.-]*(/[\w.-]+)+/?", word):
                    names.append((word, word is words[0] and len(words) > 1 or word.endswith(".sh")))
    return [(name, runs) for name, runs in names if name]


def check_names(page):
    """Whether the files are there, from the page's folder or one around it, and can be run where they are commands."""
    good = True
    for name, runs in named_files((ROOT / page).read_text()):
        around = [folder / name for folder in (ROOT / page).parents if folder == ROOT or ROOT in folder.parents]
        found = next((path for path in around if path.exists()), None)
        if GENERATED.match(name) or page.startswith("docs/decisions/"):
            continue  # made by the build; said of another day
        if found is None:
            print(f"{page}: names {name}, which is not there")
        elif runs and found.is_file() and not os.access(found, os.X_OK):
            print(f"{page}: calls {name}, which is not executable")
        else:
            continue
        good = False
    return good


def can_run(page, build):
    """Whether the programs are there that the page's commands run; says what is missing."""
    archs = EMULATED.get(page, [])
    missing = [f"qemu-{arch} (tools/dev/setup.sh --cross)" for arch in archs if not shutil.which(f"qemu-{arch}")]
    missing += [f"build/{arch} (tools/dev/build.sh {arch})" for arch in archs
                if not (build.parent / arch / "bin/eyrie-run").exists()]
    if missing:
        print(f"{page}: not run, for want of {', '.join(missing)}")
    return not missing


def main():
    arguments = [a for a in sys.argv[1:] if a != "--demo"]
    build = Path(arguments[0] if arguments else ROOT / "build/release").resolve()
    folders = [str(build / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {**os.environ, "PATH": ":".join(folders), "EYRIE_SOURCE": str(ROOT), "EYRIE_BUILD": str(build)}
    if "--demo" in sys.argv:
        return 0 if run_page("README.md", ROOT, environment, demo=True) else 1
    with tempfile.TemporaryDirectory() as folder:
        good = all([run_page(page, Path(folder), environment) if can_run(page, build) else "EYRIE_REQUIRE_EMULATORS" not in os.environ
                    for page in HOW_TO])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "build").mkdir()
        (Path(folder) / "build/release").symlink_to(build)
        subprocess.run([sys.executable, "-c", MODEL], cwd=folder, check=True)
        good &= run_page("README.md", Path(folder), environment)
    good &= try_commands("README.md", environment)
    pages = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True,
                           text=True, check=True).stdout.split()
    good &= all([check_names(page) for page in pages if (ROOT / page).is_file()])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
