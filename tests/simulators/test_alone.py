"""The simulators serve whoever builds the other side: they need no installation."""

import os
import subprocess
import sys
from pathlib import Path

OURS = {"config", "bookings", "depots", "roaming", "django"}
ROOT = Path(__file__).parents[2]


def test_the_simulators_load_nothing_of_the_apps():
    code = "import sys, simulators.charger.__main__, simulators.hub.__main__, simulators.partner.__main__; print(*sys.modules)"
    environment = {"PATH": os.environ["PATH"]}

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()

    assert {"simulators.partner.router", "simulators.hub.router"} <= set(loaded)
    assert {name.partition(".")[0] for name in loaded} & OURS == set()
