"""What holds for every test session: nobody's Prefect but its own, and what it prints at the end.

That is its seed, and the figures that simulations put down with `record_property`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings
from loguru import logger

# Examples are new each time; a failure prints the line that replays it, and nothing is kept beside the sources.
settings.register_profile("phaseline", database=None, deadline=None, print_blob=True)
settings.load_profile("phaseline")


def forget_the_persons_prefect() -> str:
    """Return the directory that stands in for it."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    home = tempfile.mkdtemp(prefix="phaseline-prefect-")
    os.environ |= {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": home,
        "PREFECT_PROFILES_PATH": f"{home}/profiles.toml",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",  # without an address: an error, not a server nobody asked for
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    return home


# Prefect reads its settings when it is imported, and a conftest below this one may do that before any hook is called.
HOME = forget_the_persons_prefect()


def pytest_configure(config: pytest.Config) -> None:
    """Clear away what stood in for it."""
    config.add_cleanup(lambda: shutil.rmtree(HOME, ignore_errors=True))


@pytest.fixture(autouse=True)
def no_log_handlers() -> Iterator[None]:
    """A command that a test calls sends its log to the stderr of then, which pytest has closed by the next one."""
    logger.remove()
    yield
    logger.remove()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A test says `record_property("mutants", "9/9")`; under xdist too, one reads `mutants: 9/9`."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
    seed = config.getoption("randomly_seed", default=None)
    terminalreporter.write_line(f"seed: {seed} (the same again: pytest -p randomly -p no:xdist --randomly-seed={seed})")
