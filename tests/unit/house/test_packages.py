"""The list of packages is the tree: a package that is not listed would be missing from a wheel."""

import configparser
from pathlib import Path, PurePath

from tests.unit.house.source import ROOT, TOP_LEVEL


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_every_package_is_listed() -> None:
    listed = _setup()["options"]["packages"].split()
    assert len(listed) == len(set(listed))
    found = {
        "tongban." + ".".join(path.parent.relative_to(ROOT).parts)
        for folder in TOP_LEVEL
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert set(listed) == found


def test_every_file_that_is_no_module_is_package_data() -> None:
    patterns = {
        package: [
            pattern.strip() for pattern in text.replace("\n", ",").split(",") if pattern.strip()
        ]
        for package, text in _setup()["options.package_data"].items()
    }
    listed = set(_setup()["options"]["packages"].split())
    missing = []
    for folder in TOP_LEVEL:
        for path in (ROOT / folder).rglob("*"):
            if path.is_dir() or path.suffix in (".py", ".pyc"):
                continue
            package, inside = _package_of(path, listed)
            wanted = (*patterns["*"], *patterns.get(package, ()))
            if not any(
                PurePath(inside).match(pattern) and _as_deep(inside, pattern) for pattern in wanted
            ):
                missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def _package_of(path: Path, listed: set[str]) -> tuple[str, str]:
    """The innermost package above a file, and the file's path within it."""
    folder = path.parent
    while ".".join(["tongban", *folder.relative_to(ROOT).parts]) not in listed:
        folder = folder.parent
    inside = path.relative_to(folder).as_posix()
    package = ".".join(["tongban", *folder.relative_to(ROOT).parts])
    return package, inside


def _as_deep(inside: str, pattern: str) -> bool:
    """A ``*`` of a pattern does not reach into folders."""
    return inside.count("/") == pattern.count("/")


def test_every_folder_with_modules_is_a_package() -> None:
    for folder in TOP_LEVEL:
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path


def test_every_top_level_folder_is_mapped_and_typed() -> None:
    mapped = dict(
        line.replace(" ", "").split("=")
        for line in _setup()["options"]["package_dir"].strip().splitlines()
    )
    present = [folder for folder in TOP_LEVEL if (ROOT / folder).is_dir()]
    assert mapped == {f"tongban.{folder}": folder for folder in present}
    for folder in present:
        assert (ROOT / folder / "py.typed").exists(), folder


def test_every_test_folder_is_a_package() -> None:
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert (Path(path).parent / "__init__.py").exists(), path
