"""The exceptions of lutnet.

A :class:`UserError` is somebody's input that cannot be used; the command line prints it as one sentence and exits
with status 2. A :class:`ToolError` is an external program that failed. A :class:`NetlistError` is a netlist that breaks
a rule of the specification in ``docs/ir.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LutnetError", "NetlistError", "ToolError", "UserError"]


class LutnetError(Exception):
    """Base of every exception that lutnet raises on purpose."""


class UserError(LutnetError):
    """Input that cannot be used: the message says what was expected, what came, where, and what to do."""


class NetlistError(LutnetError):
    """A netlist breaks a rule.

    Attributes:
        rule: Name of the rule in ``lutnet.ir.rules``.
        node: Id of the first node that breaks it, or ``None`` when the rule is about the whole netlist.
    """

    def __init__(self, rule: str, node: int | None, message: str) -> None:
        where = "netlist" if node is None else f"node %{node}"
        super().__init__(f"{where} breaks rule '{rule}': {message}")
        self.rule = rule
        self.node = node


class ToolError(LutnetError):
    """An external program is missing, failed, or ran out of time.

    Attributes:
        argv: The command line, one string an argument.
        version: What the program says of its version, or ``None`` when it could not be asked.
        returncode: Its exit status, or ``None`` when it never ended by itself.
        output: The end of what it printed.
    """

    def __init__(
        self,
        message: str,
        *,
        argv: Sequence[str] = (),
        version: str | None = None,
        returncode: int | None = None,
        output: str = "",
    ) -> None:
        detail = [message]
        if argv:
            detail.append("command: " + " ".join(argv))
        if version:
            detail.append(f"version: {version}")
        if returncode is not None:
            detail.append(f"exit status: {returncode}")
        if output.strip():
            detail.append("output ends:\n" + output.rstrip()[-2000:])
        super().__init__("\n".join(detail))
        self.message = message
        self.argv = tuple(argv)
        self.version = version
        self.returncode = returncode
        self.output = output
