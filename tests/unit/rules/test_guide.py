"""The example of docs/rules.md runs as it is printed."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "rules.md"


def test_the_guides_departments_follow_each_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contracts, test = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)[:2]
    (tmp_path / "rules_guide_example.py").write_text(f"{contracts}\n\n{test}", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("rules_guide_example")
