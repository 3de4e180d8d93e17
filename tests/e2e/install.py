"""Before ctest starts the end-to-end tests: installs Directus, builds the extension, and prepares the instance that each
file of tests takes a copy of. On a machine that has never had them it takes minutes, else nothing."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "rig"))

from directus import TEMPLATE, Directus  # noqa: E402

directus = Directus()
try:
    directus.add_extension("redis://127.0.0.1:1")
    if not TEMPLATE.exists():
        directus.start_with_articles().keep_as_template()
finally:
    directus.remove()
