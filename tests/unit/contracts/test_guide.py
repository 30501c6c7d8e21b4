"""The examples of docs/contracts.md run as they are printed."""

import re
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "contracts.md"


def test_the_guides_contract_passes_the_guides_test(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contract, test = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)[:2]
    (tmp_path / "guide_example.py").write_text(f"{contract}\n\nimport pytest\n{test}", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    example: Any = __import__("guide_example")
    example.test_a_unit_is_booked_once()
