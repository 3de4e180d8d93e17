"""The table that a run of tests/chaos ends with: one line for each invariant, and the same as JSON."""

import json
import pathlib


class Table:
    """row("R1", "jobs lost", goal=0, figure=3, holds=False). Several lines may belong to one row of the goals."""

    HEAD = ("row", "invariant", "goal", "figure")

    def __init__(self):
        self.rows = []

    def row(self, row, what, goal, figure, holds):
        self.rows.append({"row": row, "what": what, "goal": str(goal), "figure": str(figure), "holds": bool(holds)})

    def holds(self):
        return all(row["holds"] for row in self.rows)

    def broken(self):
        return [row for row in self.rows if not row["holds"]]

    def show(self):
        lines = [self.HEAD] + [(r["row"], r["what"], r["goal"], r["figure"]) for r in self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        for line, holds in zip(lines, [True] + [r["holds"] for r in self.rows]):
            text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths))
            print(text.rstrip() if holds else text + "  <-- DOES NOT HOLD")

    def write(self, file, **about):
        """What `about` the run is worth keeping comes first: seed, jobs, seconds, counters."""
        text = json.dumps({**about, "holds": self.holds(), "rows": self.rows}, indent=1)
        pathlib.Path(file).write_text(text + "\n")
