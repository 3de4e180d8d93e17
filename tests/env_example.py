#!/usr/bin/python3
"""deploy/worker.env.example from the program's own table of variables: env_example.py PROGRAM > deploy/worker.env.example"""

import json
import subprocess
import sys
import textwrap


def example(program):
    """A line of comment and the name for each variable; nothing is set."""
    # No variable of the caller may show through: what is printed is the same for everybody.
    variables = json.loads(subprocess.run([program, "config", "--json"], env={}, cwd="/", check=True,
                                          capture_output=True, text=True).stdout)
    lines = ["# The variables of flow-worker, all of them optional but for what it is to talk to. Made by tests/env_example.py."]
    for variable in variables:
        default = variable["default"] or (f"({variable['unset']})" if variable["unset"] else "")
        lines += ["", *textwrap.wrap(variable["help"], 110, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False),
                  f"#{variable['name']}={default if variable['default'] else ''}"]
        if default and not variable["default"]:
            lines.insert(len(lines) - 1, f"# unset: {variable['unset']}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(example(sys.argv[1]))
