"""Running programs: every way in which they can fail, with fakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_programs import fake_program, no_overrides

from lutnet.errors import ToolError, UserError
from lutnet.tools.base import (
    MissingToolError,
    Tool,
    check_identifier,
    find_executable,
    package_folder,
    run,
    run_tool,
    tool_version,
)

__all__ = ["no_overrides"]


def test_run_returns_everything(tmp_path: Path) -> None:
    program = fake_program(tmp_path / "p", 'cat; echo "$1|$EXTRA|$LC_ALL"; pwd; echo complaint >&2; exit 3\n')
    folder = tmp_path / "work"
    folder.mkdir()
    done = run((program, "a; echo b $HOME"), cwd=folder, timeout_s=10, input="line\n", env={"EXTRA": "x"})
    assert done.stdout == f"line\na; echo b $HOME|x|C\n{folder}\n"
    assert (done.stderr, done.returncode) == ("complaint\n", 3)
    assert done.argv == (program, "a; echo b $HOME")
    assert 0 < done.seconds < 10
    assert done.output == done.stdout + "complaint"


def test_standard_input_is_empty_unless_given(tmp_path: Path) -> None:
    assert run(("cat",), cwd=tmp_path, timeout_s=10).stdout == ""


def test_undecodable_output_is_kept_readable(tmp_path: Path) -> None:
    program = fake_program(tmp_path / "p", "printf 'a\\377b'\n")
    assert run((program,), cwd=tmp_path, timeout_s=10).stdout == "a\ufffdb"


def test_temporary_folder_is_private_and_removed(tmp_path: Path) -> None:
    program = fake_program(tmp_path / "p", 'touch "$TMPDIR/left" && printf %s "$TMPDIR"\n')
    scratch = run((program,), cwd=tmp_path, timeout_s=10).stdout
    assert scratch and not os.path.exists(scratch)


def test_timeout_kills_grandchildren_and_keeps_the_output(tmp_path: Path) -> None:
    program = fake_program(tmp_path / "p", "echo started\n(sleep 1; touch survived) &\nsleep 30\n")
    start = time.monotonic()
    with pytest.raises(ToolError, match=r"p did not finish within 0\.4 s") as caught:
        run((program,), cwd=tmp_path, timeout_s=0.4)
    assert time.monotonic() - start < 5
    assert "started" in caught.value.output
    assert caught.value.returncode is None
    time.sleep(1.2)
    assert not (tmp_path / "survived").exists()


def _hear_interrupts() -> None:
    """A process started by a background job ignores SIGINT unless told otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupt_kills_grandchildren(tmp_path: Path) -> None:
    program = fake_program(tmp_path / "p", "touch started\n(sleep 1; touch survived) &\nsleep 30\n")
    code = "import sys; from lutnet.tools.base import run; run((sys.argv[1],), cwd=sys.argv[2], timeout_s=60)"
    parent = subprocess.Popen(
        [sys.executable, "-c", code, program, str(tmp_path)], stderr=subprocess.PIPE, preexec_fn=_hear_interrupts
    )
    deadline = time.monotonic() + 20
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.send_signal(signal.SIGINT)
    _, errors = parent.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    time.sleep(1.2)
    assert (tmp_path / "started").exists() and not (tmp_path / "survived").exists()


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"cannot start .*nothing_here: No such file"):
        run((str(tmp_path / "nothing_here"),), cwd=tmp_path, timeout_s=1)


def test_failure_carries_command_version_status_and_output(tmp_path: Path) -> None:
    body = 'if [ "$1" = --version ]; then echo "Fake 1.25-rc2"; else echo out; echo bad >&2; exit 7; fi\n'
    tool = Tool("fake", (fake_program(tmp_path / "p", body),))
    with pytest.raises(ToolError) as caught:
        run_tool(tool, ("go",), cwd=tmp_path, timeout_s=10)
    error = caught.value
    assert error.argv == (*tool.argv, "go")
    assert (error.message, error.version, error.returncode) == ("fake ended with status 7", "1.25-rc2", 7)
    assert error.output == "out\nbad"
    for part in ("fake ended with status 7", " go", "1.25-rc2", "out\nbad"):
        assert part in str(error)


def test_accepted_statuses_and_signals(tmp_path: Path) -> None:
    tool = Tool("fake", (fake_program(tmp_path / "p", 'if [ "$1" = die ]; then kill -SEGV $$; fi; exit 7\n'),))
    assert run_tool(tool, (), cwd=tmp_path, timeout_s=10, accept=(0, 7)).returncode == 7
    with pytest.raises(ToolError, match="fake was ended by signal SIGSEGV"):
        run_tool(tool, ("die",), cwd=tmp_path, timeout_s=10)


def test_timeout_of_a_tool_names_it_and_its_version(tmp_path: Path) -> None:
    body = 'if [ "$1" = --version ]; then echo 2.0; else sleep 30; fi\n'
    tool = Tool("fake", (fake_program(tmp_path / "p", body),))
    with pytest.raises(ToolError, match=r"fake did not finish within 0\.2 s") as caught:
        run_tool(tool, ("go",), cwd=tmp_path, timeout_s=0.2)
    assert caught.value.version == "2.0"


@pytest.mark.parametrize("body", ["exit 1\n", "echo no number here\n", "printf '\\000\\377'\n"])
def test_no_version_is_none(tmp_path: Path, body: str) -> None:
    assert tool_version(Tool("fake", (fake_program(tmp_path / "p", body),))) is None


def test_version_of_a_program_that_does_not_start_is_none(tmp_path: Path) -> None:
    assert tool_version(Tool("fake", (str(tmp_path / "none"),))) is None


def test_version_of_a_package() -> None:
    assert tool_version(Tool("numpy", ("numpy",), package="numpy")) == __import__("numpy").__version__


def test_find_executable_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fake_program(tmp_path / "frobnicate", "exit 0\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_executable("frobnicate", variable="LUTNET_FROB", install="") == program
    other = fake_program(tmp_path / "other", "exit 0\n")
    monkeypatch.setenv("LUTNET_FROB", other)
    assert find_executable("frobnicate", variable="LUTNET_FROB", install="") == other


def test_missing_program_is_one_sentence_for_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as caught:
        find_executable("frobnicate", install="install it with `apt-get install frob`")
    assert isinstance(caught.value, UserError) and isinstance(caught.value, ToolError)
    assert str(caught.value) == "frobnicate not found on PATH; install it with `apt-get install frob`"


def test_variable_that_names_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    monkeypatch.setenv("LUTNET_FROB", str(tmp_path / "text"))
    with pytest.raises(MissingToolError, match=r"LUTNET_FROB names '.*text', which is no executable file"):
        find_executable("sh", variable="LUTNET_FROB", install="")


def test_packages_are_found_without_being_imported() -> None:
    code = "import sys; from lutnet.tools.base import package_folder; print(package_folder('pyosys'), 'pyosys' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("pyosys False\n")
    assert package_folder("no_such_package_here") is None


@pytest.mark.parametrize("name", ["", "1a", "a b", "a;b", "a$b", "a\n", "top.v", "\u00e9"])
def test_identifiers_that_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="the thing must be made of letters"):
        check_identifier(name, "the thing")


def test_identifiers_that_are_accepted() -> None:
    assert [check_identifier(name, "x") for name in ("a", "_b1", "Top_2")] == ["a", "_b1", "Top_2"]
