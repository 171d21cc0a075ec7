"""Frozen dataclasses of settings from dictionaries, as TOML and JSON files hold them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from lutnet.errors import UserError

__all__ = ["at_least", "known_keys", "part_from"]

_Config = TypeVar("_Config")


def part_from(kind: type[_Config], data: Mapping[str, Any], where: str) -> _Config:
    """A dataclass whose fields all have defaults, from a dictionary; keys that are left out keep them.

    Args:
        kind: The dataclass.
        data: Values by field; those of a field that is a dataclass itself are a dictionary again.
        where: Where the dictionary comes from, in messages.

    Raises:
        UserError: An unknown key, or a value of another type than the default.
    """
    defaults = kind()
    known_keys(data, [f.name for f in fields(kind)], where)  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    return kind(
        **{key: _typed(value, getattr(defaults, key), hints[key], f"{where}: '{key}'") for key, value in data.items()}
    )


def _typed(value: Any, default: Any, hint: Any, where: str) -> Any:
    if is_dataclass(default):
        if not isinstance(value, Mapping):
            raise UserError(f"{where} is a table of settings, got {value!r}")
        return part_from(type(default), value, where)
    if isinstance(default, tuple):
        kind = get_args(hint)[0]
        if is_dataclass(kind):
            return _parts(kind, value, where)
        if not isinstance(value, (list, tuple)) or not all(type(item) is kind for item in value):
            what = "texts" if kind is str else "whole numbers"
            example = f" such as {list(default)}" if default else ""
            raise UserError(f"{where} is a list of {what}{example}, got {value!r}")
        return tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise UserError(f"{where} is a value like {default!r}, got {value!r}")
    return value


def _parts(kind: Any, value: Any, where: str) -> tuple[Any, ...]:
    """Dataclasses from a list of dictionaries."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) for item in value):
        raise UserError(f"{where} is a list of tables of settings, got {value!r}")
    return tuple(part_from(kind, item, f"{where}, number {number}") for number, item in enumerate(value))


def known_keys(data: Mapping[str, Any], known: list[str], where: str) -> None:
    """Refuses keys that are not known; the message suggests the nearest one."""
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys are {', '.join(known)}"
            raise UserError(f"{where}: unknown key '{key}'; {hint}")


def at_least(where: str, value: int, least: int) -> None:
    """Refuses a number that is too small."""
    if value < least:
        raise UserError(f"{where} is at least {least}, got {value}")
