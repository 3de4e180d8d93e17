"""Before ctest starts the end-to-end tests: what all of them need is made, once."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "rig"))

from directus import Directus  # noqa: E402

Directus.make_template()
