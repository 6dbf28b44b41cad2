"""Every Python block of the README runs, in order, as one session."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


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
def test_preset_table_is_complete():
    table = README.partition("<!-- presets:start -->")[2].partition("<!-- presets:end -->")[0]
    named = set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE))
    assert named == {path.parent.name for path in ROOT.glob("presets/*/config.json")}
