"""Makes the shared files of this folder importable, and tells clearly when there is nothing to test."""
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "models"), str(Path(__file__).parent / "ops"),
                str(Path(__file__).resolve().parents[1] / "bindings/python")]

import cases  # noqa: E402
from command import EYRIE  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than about ten seconds (leave out with -m 'not slow')")


def pytest_sessionstart(session):
    if not Path(EYRIE).exists() and not session.config.option.collectonly:
        pytest.exit(f"there is no {EYRIE}: build it (tools/dev/build.sh release) or name one in $EYRIE", 4)


def pytest_report_header(config):
    return f"eyrie: {EYRIE}"


@pytest.fixture(autouse=True)
def numbers_of_its_own(request):
    cases.seed(request.node.nodeid)


_lines = []


@pytest.fixture
def report(record_property):
    """`report("...")` prints a line at the end of the run, also when it passes."""
    return lambda line: record_property("report", line)


def pytest_runtest_logreport(report):
    _lines.extend(value for key, value in report.user_properties if key == "report" and report.when == "call")


def pytest_terminal_summary(terminalreporter):
    if _lines:
        terminalreporter.section("measured")
        for line in sorted(_lines):
            terminalreporter.write_line(line)
