"""What a peer checks of a Python package before it is installed."""

import pytest

from tongban.node.core.package import parse_python_package
from tongban.protos.errors import MalformedMessage
from tongban.protos.package_format import build_package

GOOD = {
    "label": "a_1",
    "type": "tongban-python",
    "path": "",
    "api": 1,
    "python": ">=3.11",
    "modules": ["main", "law.rules"],
}
FILES = {"main.py": b"", "law/rules/__init__.py": b"", "notes.txt": b"not loaded"}


def test_a_good_package_is_read() -> None:
    package = parse_python_package(build_package(GOOD, FILES))
    assert (package.label, package.api, package.python) == ("a_1", 1, (3, 11))
    assert package.modules == ("main", "law.rules")
    assert set(package.sources) == {"main.py", "law/rules/__init__.py"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "golang"}, "expected 'tongban-python'"),
        ({"api": "1"}, "'api'"),
        ({"api": True}, "'api'"),
        ({"api": 0}, "'api'"),
        ({"python": "3.11"}, "'python'"),
        ({"python": ">=2.7"}, "'python'"),
        ({"python": None}, "'python'"),
        ({"modules": []}, "'modules'"),
        ({"modules": "main"}, "'modules'"),
        ({"modules": ["../main"]}, "not the name of a module"),
        ({"modules": [7]}, "not the name of a module"),
        ({"modules": ["other"]}, "promised and not there"),
    ],
)
def test_a_promise_that_does_not_hold_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        parse_python_package(build_package(GOOD | change, FILES))
