"""What several test files look at: one run of the main job."""

from collections.abc import Iterator

import pytest

from tests.support.demo_run import DemoRun, run_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    """A demo that has run a few cases of every kind."""
    with run_demo(tmp_path_factory.mktemp("demo")) as run:
        yield run
