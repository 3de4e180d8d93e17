"""A short run of tests/soak: nothing grows, nothing is left. SOAK_MINUTES makes it long."""
# labels: chaos

import os
import pathlib
import subprocess

SOAK = pathlib.Path(__file__).parents[1] / "soak"


def test_nothing_grows():
    minutes = os.environ.get("SOAK_MINUTES", "0.25")
    more = [] if float(minutes) > 5 else ["--rate", "60", "--result-ttl", "3s", "--growth", "16"]
    subprocess.run([SOAK, "--minutes", minutes, *more], check=True)
