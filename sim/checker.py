"""In-order checker: samples carry no tag, so the order and, without ``out_valid``, the latency say which output is whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Verdict", "check_stream"]

_SHOWN = 3


@dataclass(frozen=True)
class Verdict:
    """What the checker found.

    Attributes:
        outputs: Output word of every sample, most significant bit first; empty for a sample whose output never came.
        problems: What no single sample shows, one sentence each: lost or additional outputs, another latency of ``out_valid``.
        differences: What the samples show: unknown bits, other outputs than the expected ones, the latency that would fit.
    """

    outputs: list[str]
    problems: list[str]
    differences: list[str]


def check_stream(
    words: Sequence[str],
    cycles: Sequence[int],
    taken: Sequence[int],
    *,
    latency_cycles: int,
    has_valid: bool,
    expected: Sequence[str] | None = None,
) -> Verdict:
    """Gives every sample its output and says what is wrong.

    With ``out_valid`` the k-th output belongs to the k-th sample whatever the latency is, and the latency is measured and compared.
    Without it the output of a sample is the one ``latency_cycles`` later; outputs that fit another latency are reported as such.

    Args:
        words: Outputs seen, text of ``0``, ``1``, ``X`` and ``Z``, most significant bit first.
        cycles: Enabled cycle of each output, rising.
        taken: Enabled cycle in which each sample was taken, rising.
        latency_cycles: Registers from input to output as ``interface.json`` says; 0 for a design without a clock.
        has_valid: Whether the outputs were chosen by ``out_valid``.
        expected: What the model says, one word a sample, or ``None``.
    """
    if has_valid:
        outputs, problems = _in_order(words, cycles, taken, latency_cycles)
    else:
        outputs, problems = _at_latency(words, cycles, taken, latency_cycles), []
    differences = []
    unknown = [i for i, word in enumerate(outputs) if word.strip("01")]
    if unknown:
        differences.append(
            f"{len(unknown)} outputs have unknown bits, first sample {unknown[0]}: {outputs[unknown[0]]}"
        )
    if expected is None:
        return Verdict(outputs, problems, differences)
    wrong = [i for i, (got, want) in enumerate(zip(outputs, expected, strict=True)) if got != want]
    if wrong:
        shown = "; ".join(f"sample {i}: expected {expected[i]}, got {outputs[i] or 'nothing'}" for i in wrong[:_SHOWN])
        differences.append(f"{len(wrong)} of {len(expected)} samples differ: {shown}")
        other = None
        if latency_cycles and not has_valid:
            other = _fitting_latency(words, cycles, taken, expected, 2 * latency_cycles + 4)
        if other is not None:
            differences.append(f"the outputs fit a latency of {other} cycles, the interface says {latency_cycles}")
    return Verdict(outputs, problems, differences)


def _in_order(
    words: Sequence[str], cycles: Sequence[int], taken: Sequence[int], latency: int
) -> tuple[list[str], list[str]]:
    problems = []
    if len(words) != len(taken):
        problems.append(f"{len(taken)} samples went in, {len(words)} valid outputs came out")
    measured = {seen - went + min(1, latency) for seen, went in zip(cycles, taken, strict=False)}
    if measured - {latency}:
        problems.append(f"out_valid comes after {_listed(measured)} cycles, the interface says {latency}")
    lost = max(0, len(taken) - len(words))
    return [*words[: len(taken)], *[""] * lost], problems


def _at_latency(words: Sequence[str], cycles: Sequence[int], taken: Sequence[int], latency: int) -> list[str]:
    at = dict(zip(cycles, words, strict=True))
    return [at.get(cycle + max(0, latency - 1), "") for cycle in taken]


def _fitting_latency(
    words: Sequence[str], cycles: Sequence[int], taken: Sequence[int], expected: Sequence[str], most: int
) -> int | None:
    """The latency up to ``most`` at which every output seen is the expected one; more than half of the samples have one."""
    at = dict(zip(cycles, words, strict=True))
    for latency in range(1, most + 1):
        pairs = [
            (at[went + latency - 1], want)
            for went, want in zip(taken, expected, strict=True)
            if went + latency - 1 in at
        ]
        if 2 * len(pairs) > len(expected) and all(got == want for got, want in pairs):
            return latency
    return None


def _listed(values: set[int]) -> str:
    return ", ".join(map(str, sorted(values)[:_SHOWN])) + (", ..." if len(values) > _SHOWN else "")
