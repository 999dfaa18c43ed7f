#!/usr/bin/env python3
"""The repository's own checks: format, who includes whom, sizes, tests that check nothing, rooms without a page.

Prints one line a finding and exits 1 if there is any. `check.py --fix` formats the files instead of complaining.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLANG_FORMAT = "clang-format-22"

# room -> the rooms it may include, besides itself. Longest prefix wins.
COMMON = ["compiler/support", "abi"]
MAY_INCLUDE = {
    "abi": [],
    "include/eyrie": [],
    "compiler/support": ["abi"],
    "compiler/graph": COMMON,
    "compiler/ops": COMMON + ["compiler/graph"],
    "compiler/import": COMMON + ["compiler/graph", "compiler/ops"],
    "compiler/stream": COMMON + ["compiler/graph"],
    "compiler/target": COMMON + ["compiler/graph"],
    "compiler/target/common": COMMON + ["compiler/graph", "compiler/target/Target.h"],
    "compiler/target/cpu": COMMON + ["compiler/graph", "compiler/target/common", "compiler/target/Target.h"],
    "compiler/target/reference": COMMON + ["compiler/graph", "compiler/target/common", "compiler/target/Target.h"],
    "compiler/target/test": ["compiler", "runtime", "abi", "include/eyrie"],
    "compiler/vm": COMMON + ["compiler/graph", "compiler/stream"],
    "compiler/module": COMMON + ["compiler/graph", "compiler/stream", "compiler/vm"],
    "compiler/pipeline": ["compiler", "abi", "include/eyrie"],
    "runtime/base": ["abi", "include/eyrie"],
    "runtime/hal": ["runtime/base", "abi", "include/eyrie"],
    "runtime/vm": ["runtime/base", "abi", "include/eyrie"],
    "runtime/module": ["runtime/base", "abi", "include/eyrie"],
    "runtime/parameters": ["runtime/base", "abi", "include/eyrie"],
    "runtime/session": ["runtime", "abi", "include/eyrie"],
    "runtime/testing": ["runtime", "abi", "include/eyrie"],
    "tools/npy": [],
    "tools/eyrie": ["include/eyrie", "abi", "tools/npy"],
    "tools/eyrie-run": ["include/eyrie", "tools/npy"],
    "tools/eyrie-opt": ["compiler"],
}
GENERATED = re.compile(r"\.inc$|_generated\.h$")
MAX_LINES = 1000
DEAD_CHECK = re.compile(r"^\s*//+\s*[A-Z][A-Z0-9_-]*-(SAME|NEXT|NOT|DAG|LABEL|COUNT)\s+[^: ]")

findings = []


def tracked(*suffixes):
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split("\n")
    return [n for n in names if n.endswith(suffixes) and (ROOT / n).is_file()]


def room_of(path):
    known = [room for room in MAY_INCLUDE if path.startswith(room + "/")]
    return max(known, key=len) if known else None


def check_includes():
    for name in tracked(".cpp", ".h", ".c", ".hpp"):
        room = room_of(name)
        if room is None:
            continue
        is_test = name.endswith("_test.cpp") or "Test" in Path(name).name or "/test/" in name or name.startswith("runtime/testing")
        for number, line in enumerate((ROOT / name).read_text().split("\n"), 1):
            match = re.match(r'\s*#\s*include\s+"((?:abi|compiler|runtime|tools|include)/[^"]+|eyrie/[^"]+)"', line)
            if not match:
                continue
            target = match[1] if not match[1].startswith("eyrie/") else "include/" + match[1]
            if GENERATED.search(target) and target.startswith(("abi/", room)):
                continue
            allowed = MAY_INCLUDE[room] + [room] + (["runtime", "include/eyrie", "compiler", "tools"] if is_test else [])
            if not any(target == a or target.startswith(a + "/") for a in allowed):
                findings.append(f"{name}:{number}: {room} must not include {target}")


def check_text():
    for name in tracked(".cpp", ".h", ".td", ".c", ".py", ".hpp"):
        lines = (ROOT / name).read_text().split("\n")
        if len(lines) > MAX_LINES:
            findings.append(f"{name}: {len(lines)} lines; split it along its ideas (at most {MAX_LINES})")
    for name in tracked(".mlir"):
        for number, line in enumerate((ROOT / name).read_text().split("\n"), 1):
            if DEAD_CHECK.match(line):
                findings.append(f"{name}:{number}: this line checks nothing: it has no colon")
    for name in tracked(".cpp", ".h", ".td", ".py", ".sh", ".md", ".txt", ".cmake", ".json"):
        text = (ROOT / name).read_text(errors="replace")
        for host in ("pypi" + ".org", "deb" + ".debian.org", "registry" + ".npmjs", "files.python" + "hosted"):
            if host in text:
                findings.append(f"{name}: names a package registry's host")


def check_rooms():
    for parent in ("compiler", "compiler/import", "compiler/target", "runtime"):
        for folder in sorted((ROOT / parent).iterdir()) if (ROOT / parent).exists() else []:
            sources = folder.is_dir() and any(folder.rglob("*.cpp"))
            if sources and folder.name not in ("import", "test", "testing") and not (folder / "README.md").exists():
                findings.append(f"{folder.relative_to(ROOT)}: has no README.md")


def check_format(fix):
    names = [n for n in tracked(".cpp", ".h", ".c", ".hpp")]
    for i in range(0, len(names), 50):
        command = [CLANG_FORMAT, "-i"] if fix else [CLANG_FORMAT, "--dry-run", "-Werror"]
        result = subprocess.run(command + names[i:i + 50], cwd=ROOT, capture_output=True, text=True)
        bad = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", result.stderr, re.M)))
        findings.extend(f"{name}: not formatted; run tools/dev/check.py --fix" for name in bad)


def main():
    check_format("--fix" in sys.argv)
    check_includes()
    check_text()
    check_rooms()
    for line in findings:
        print(line)
    print(f"{len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
