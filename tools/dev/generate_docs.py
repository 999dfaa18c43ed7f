#!/usr/bin/env python3
"""Writes docs/reference from the tables and from `eyrie --help`: generate_docs.py [--check] [BUILD].

BUILD is the build folder with bin/eyrie (default build/release). With --check nothing is written: the exit code is 1
and a line is printed for each page that is stale.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTE = "<!-- Written by tools/dev/generate_docs.py; change it there, or what it reads. -->\n"
COMMANDS = ["compile", "check", "run", "bench", "inspect", "params", "params list", "params convert", "params create",
            "params extract"]


def command_line(build):
    pages = []
    for command in [[], *(c.split() for c in COMMANDS)]:
        done = subprocess.run([build / "bin/eyrie", *command, "--help"], capture_output=True, text=True, check=True)
        text = "\n".join(line.rstrip() for line in done.stdout.strip().split("\n"))
        title = " ".join(["eyrie", *command])
        pages.append(f"## `{title}`\n\n```text\n{text}\n```\n")
    return "# The command line\n\n" + "\n".join(pages)


def rows(path, macro):
    """The rows of a .def table: lists of their arguments, strings without quotes."""
    text = re.sub(r"^\s*(//|#).*$", "", (ROOT / path).read_text(), flags=re.M)
    result = []
    for match in re.finditer(macro + r"\(((?:[^()\"]|\"(?:[^\"\\]|\\.)*\")*)\)", text):
        # Literals that stand side by side are one.
        arguments = re.findall(r'((?:"(?:[^"\\]|\\.)*"\s*)+|[^",\s]+)', match[1])
        result.append(["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', a)) if a.startswith('"') else a for a in arguments])
    return result


def table(head, lines):
    cell = lambda value: value.replace("|", "\\|")
    text = "| " + " | ".join(head) + " |\n|" + "---|" * len(head) + "\n"
    return text + "".join("| " + " | ".join(map(cell, line)) + " |\n" for line in lines)


def instructions():
    text = (ROOT / "abi/vm_instructions.def").read_text()
    legend = re.findall(r"^//   (.*)$", text, re.M)
    lines = [(f"`{name}`", code, f"`{operands}`" if operands else "", doc)
             for _, code, name, operands, doc in rows("abi/vm_instructions.def", "EYRIE_VM_OP")]
    return ("# Instructions of the virtual machine\n\nThe letters of the operands:\n\n```text\n" + "\n".join(legend) +
            "\n```\n\n" + table(["instruction", "opcode", "operands", "what it does"], lines))


def element_types():
    lines = [(f"`{name}`", number, bits, f"`{npy}`")
             for _, number, name, bits, _, npy in rows("abi/element_types.def", "EYRIE_ELEMENT_TYPE")]
    return ("# Element types\n\nTypes that NumPy lacks travel in .npy files as their bits; packed ones one to a byte.\n\n" +
            table(["type", "number", "bits", "dtype in .npy"], lines))


def compiler_options():
    lines = [(f"`--{name}`" + (f", `-{letter[1]}`" if letter != "0" else ""), f"`{value}`" if value else "",
              f"`{default}`" if default else "", text)
             for _, name, _, letter, value, default, text in
             rows("compiler/pipeline/Options.def", "EYRIE_COMPILE_OPTION")]
    return ("# Options of the compiler\n\nThe same names serve the command line and `eyrie_compile_set` of the C API.\n\n" +
            table(["option", "value", "default", "what it does"], lines))


def main():
    arguments = [a for a in sys.argv[1:] if a != "--check"]
    build = Path(arguments[0] if arguments else ROOT / "build/release").resolve()
    pages = {"cli.md": command_line(build), "vm.md": instructions(), "element-types.md": element_types(),
             "compiler-options.md": compiler_options()}
    stale = 0
    for name, text in pages.items():
        path = ROOT / "docs/reference" / name
        text = NOTE + text
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in sys.argv:
            print(f"docs/reference/{name}: stale; run tools/dev/generate_docs.py")
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"docs/reference/{name}: written")
    return stale


if __name__ == "__main__":
    sys.exit(main())
