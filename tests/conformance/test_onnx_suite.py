"""The backend suite of the installed onnx package. `exceptions.json` beside this file says which cases do not pass, and why."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT

EXCEPTIONS = Path(__file__).with_name("exceptions.json")


@pytest.mark.slow
def test_every_case_but_the_exceptions_passes(report):
    done = subprocess.run([sys.executable, ROOT / "tools/dev/conformance.py", "--onnx", "--exceptions", EXCEPTIONS],
                          capture_output=True, text=True, timeout=1800, check=False)
    *_, summary = [line for line in done.stdout.splitlines() if line.startswith("| all ")] or ["no table"]
    report("ONNX backend suite: cases, pass, unsupported, refused, wrong, crash " + summary.removeprefix("| all "))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_exceptions_have_a_status_and_a_reason():
    for case, entry in json.loads(EXCEPTIONS.read_text()).items():
        assert set(entry) == {"status", "reason"}, case
        assert entry["status"] in ("unsupported", "refused", "wrong") and len(entry["reason"]) > 10, case
