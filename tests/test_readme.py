"""Every Python block of the README runs, in order, as one session."""

import re
from pathlib import Path

import pytest

import zoo

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow_to_compile
def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
    assert blocks
    for block in blocks:
        # Line numbers in a traceback are those of the README.
        skipped = "\n" * README.count("\n", 0, block.start(1))
        exec(compile(skipped + block[1], str(ROOT / "README.md"), "exec"), namespace)


@pytest.mark.backend_free
def test_preset_table_is_true():
    rows = "".join(
        f"| `{row['name']}` | {row['family']} | {row['task']} | {row['parameters']:,} | "
        f"{'trained' if row['weights'] else 'random'} | {row['source'] or ''} | "
        f"{row['licence'] or ''} | {row['metric'] or ''} |\n"
        for row in zoo.list_presets()
    )
    columns = "| name | family | task | parameters | weights | source | licence | measured |\n"
    table = columns + "|---" * columns.count(" |") + "|\n" + rows
    found = README.partition("<!-- presets:start -->\n")[2].partition("<!-- presets:end -->")[0]
    assert found == table, f"the table of presets in README.md should be\n{table}"


@pytest.mark.backend_free
def test_ladder_is_the_one_that_was_measured():
    found = README.partition("<!-- ladder:start -->\n")[2].partition("<!-- ladder:end -->")[0]
    assert found == (ROOT / "benchmarks" / "ladder.md").read_text(encoding="utf-8")
