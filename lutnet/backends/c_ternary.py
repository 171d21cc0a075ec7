"""Functions of three bits as C expressions.

A function is the byte whose bit ``4 * a + 2 * b + c`` is its value: ``0xF0`` is ``a``, ``0xCC`` is ``b``, ``0xAA`` is ``c``, and the
byte is the immediate of AVX-512's ternary logic instruction.
"""

from __future__ import annotations

from functools import cache

__all__ = ["expression_of"]

_VARIABLES = {"(a)": 0xF0, "(b)": 0xCC, "(c)": 0xAA}


def expression_of(function: int) -> str:
    """A shortest expression in ``&``, ``|``, ``^`` and ``~`` of the macro parameters a, b and c; complements are not counted."""
    return _expressions()[function]


@cache
def _expressions() -> dict[int, str]:
    """All functions, by growing number of operations."""
    found = {0: "LUTNET_ZERO", 0xFF: "~LUTNET_ZERO"}
    for name, function in _VARIABLES.items():
        found[function], found[function ^ 0xFF] = name, f"~{name}"
    layers = [[function for function in found if function not in (0, 0xFF)]]
    while len(found) < 256:
        layers.append([])
        size = len(layers) - 1
        for left in range(size):
            for f in layers[left]:
                for g in layers[size - 1 - left]:
                    for symbol, function in (("&", f & g), ("^", f ^ g), ("|", f | g)):
                        if function not in found:
                            text = f"({found[f]} {symbol} {found[g]})"
                            found[function], found[function ^ 0xFF] = text, f"~{text}"
                            layers[-1] += [function, function ^ 0xFF]
    return found
