"""Every code block of the documentation runs, and what it says of versions and rules is true."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from lutnet.ir import IR_VERSION, OPS
from lutnet.ir.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for language, code in BLOCK.findall(page.read_text()):
        assert language in ("python", "bash", "text", "toml", "verilog"), (
            f"{page.name}: a block without a known language"
        )
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as names["printed"]:
                exec(compile(code, page.name, "exec", dont_inherit=True), names)


def test_specification_is_of_this_version() -> None:
    text = (ROOT / "docs" / "ir.md").read_text()
    assert text.startswith(f"# The netlist, version {IR_VERSION}\n")
    for rule in RULES:
        assert f"| `{rule.name}` | {rule.text} |" in text
    for code, op in OPS.items():
        assert re.search(rf"^\| `{op.name}` \| {int(code)} \|", text, re.MULTILINE)
    python, printed = (code for language, code in BLOCK.findall(text) if language in ("python", "text"))
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(python, names)
    assert out.getvalue().strip() == printed.strip()


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
