"""The rows of tests/chaos/rows.py at a small scale: all that they count holds. Their times are in the output."""
# labels: chaos

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "chaos"))

import rows  # noqa: E402


@pytest.mark.parametrize("row", list(rows.ROWS))
def test_row(row):
    assert rows.run([row])
