"""What came of the checks: kept in a file that is written anew after each of them."""

import json
import os
import threading
from pathlib import Path

NAME = "results-gpu.json"


class Results:
    """Rows of what was checked or measured, by several threads.

    Attributes:
        context: versions, devices and whether the models were toys.
        rows: dicts with `part`, `backend`, `library`, `check`, `precision`, `passed`, and what the
            check says of itself.
    """

    def __init__(self, folder, context, rows=()):
        self.path = Path(folder) / NAME
        self.context = context
        self.rows = list(rows)
        self._lock = threading.Lock()

    @classmethod
    def resume(cls, folder, context, parts):
        """The rows of other parts from the same devices and versions, if there are any."""
        try:
            old = json.loads((Path(folder) / NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return cls(folder, context)
        same = old["context"] == json.loads(json.dumps(context))
        kept = [row for row in old["rows"] if row["part"] not in parts] if same else []
        return cls(folder, context, kept)

    def add(self, row):
        with self._lock:
            self.rows.append(row)
            text = json.dumps({"context": self.context, "rows": self.rows}, indent=1)
            partial = self.path.with_suffix(".partial")
            partial.write_text(text + "\n", encoding="utf-8")
            os.replace(partial, self.path)

    def of(self, part):
        return [row for row in self.rows if row["part"] == part]

    @property
    def failed(self):
        return [row for row in self.rows if row["passed"] is False]
