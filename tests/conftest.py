"""Fixtures for all tests."""

from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    # The tests' networks are tiny: a second thread costs more than it gives, above all on a busy machine.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real frames and golden values beside the repository; tests that need them are skipped where they are absent."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder.name}/ with real frames beside the repository")
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    """Whatever a test did to torch's threads: two of them wait for each other most of the time on a busy machine."""
    yield
    torch.set_num_threads(1)
