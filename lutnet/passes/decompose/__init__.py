"""Tables of many address bits become networks of tables of few."""

from __future__ import annotations

from lutnet.passes.decompose.rewrite import Decompose

__all__ = ["Decompose"]
