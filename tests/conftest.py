"""Shared by all tests."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on a data folder or cache of the machine."""
    monkeypatch.delenv("LUTNET_DATA", raising=False)
    monkeypatch.delenv("LUTNET_CACHE", raising=False)
