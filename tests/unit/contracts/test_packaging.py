"""From a folder to a package: what goes in, what is refused, and the same id everywhere."""

from pathlib import Path

import pytest

from tongban.contracts.packaging import InvalidProject, build_project, read_project
from tongban.node.core.package import parse_python_package

PROJECT = """
[contract]
name = "property"
version = "1.2"
modules = ["property"]
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in {"contract.toml": PROJECT, "property.py": "x = 1\n"}.items():
        (folder / name).write_bytes(text.encode())
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return folder


def test_a_folder_becomes_a_package_that_a_peer_accepts(tmp_path: Path) -> None:
    folder = write(tmp_path, rules__deep__law_py="y = 2\n")
    built = build_project(folder)
    package = parse_python_package(built.content)
    assert built.package_id.startswith("property_1.2:")
    assert (package.label, package.api, package.python) == ("property_1.2", 1, (3, 11))
    assert package.modules == ("property",)
    assert package.sources == {"property.py": b"x = 1\n", "rules/deep/law.py": b"y = 2\n"}


def test_tests_caches_hidden_folders_and_line_ends_do_not_change_the_id(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    plain = build_project(write(tmp_path / "a"))
    other = write(
        tmp_path / "b",
        tests__test_it_py="1/0",
        test_it_py="1/0",
        conftest_py="1/0",
        README="words",
    )
    for hidden in (".git", "__pycache__"):
        (other / hidden).mkdir()
        (other / hidden / "x.py").write_text("1/0")
    (other / "property.py").write_bytes(b"x = 1\r\n")
    assert build_project(other).package_id == plain.package_id


def test_one_changed_letter_changes_the_id(tmp_path: Path) -> None:
    before = build_project(write(tmp_path)).package_id
    (tmp_path / "property.py").write_text("x = 2\n")
    assert build_project(tmp_path).package_id != before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"expected a table \[contract\]"),
        ("[contract", "not TOML"),
        ('[contract]\nversion = "1"\nmodules = ["property"]', "'name' must be a text"),
        (PROJECT + 'modul = "x"', "unknown setting 'modul'"),
        (PROJECT + 'label = "a b"', "label 'a b'"),
        (PROJECT + "api = 99", "offers 1 to 1"),
        (PROJECT + 'collections = "none.json"', "no such file"),
        (PROJECT.replace('["property"]', "[]"), "'modules' must list"),
        (PROJECT.replace('["property"]', '["missing"]'), "no module 'missing'"),
    ],
)
def test_a_mistake_in_the_project_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    folder = write(tmp_path)
    (folder / "contract.toml").write_text(text)
    with pytest.raises(InvalidProject, match=reason):
        build_project(folder)


def test_a_missing_project_file_and_a_link_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidProject, match=r"there is no contract\.toml"):
        read_project(tmp_path)
    folder = write(tmp_path)
    (folder / "link.py").symlink_to("/etc/passwd")
    with pytest.raises(InvalidProject, match="a link"):
        build_project(folder)
