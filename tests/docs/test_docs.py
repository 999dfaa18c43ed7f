"""The documentation does what it says and is up to date."""
import subprocess
import sys
from pathlib import Path

from command import EYRIE, ROOT

BUILD = Path(EYRIE).resolve().parents[1]


def run(script, *arguments):
    done = subprocess.run([sys.executable, ROOT / "tools/dev" / script, *arguments, BUILD], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_do_what_they_say():
    run("check_pages.py")


def test_the_reference_is_up_to_date():
    run("generate_docs.py", "--check")


def test_architecture_shows_the_ir_of_today():
    run("architecture.py", "--check")
