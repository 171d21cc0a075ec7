"""The tests of a design: full rate, gaps, reset, clock enable. A test that the ports do not allow passes at once."""

from __future__ import annotations

from random import Random
from typing import Any

import cocotb
from checker import Verdict, check_stream
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer
from driver import Driver, Plan, full_rate, with_gaps
from model import Job, load_job, write_result
from monitor import Monitor

_PERIOD_NS = 2
_GAP_SAMPLES = 500


@cocotb.test()
async def full_rate_stream(dut: Any) -> None:
    """One sample a clock cycle, all of them, and every output is the model's."""
    job = load_job()
    verdict = _port_verdict(dut, job)
    if not verdict.problems:
        verdict = await _stream(dut, job, full_rate(job.inputs, job.interface), len(job.inputs))
    _finish(dut, job, "full_rate_stream", verdict)


@cocotb.test()
async def stream_with_gaps(dut: Any) -> None:
    """Bubbles and stopped cycles between the samples change nothing."""
    job = load_job()
    verdict = _port_verdict(dut, job)
    if not verdict.problems and (job.interface.valid or job.interface.clock_enable):
        count = min(len(job.inputs), _GAP_SAMPLES)
        plan = with_gaps(job.inputs[:count], job.interface, Random(count))
        verdict = await _stream(dut, job, plan, count)
    _finish(dut, job, "stream_with_gaps", verdict)


@cocotb.test()
async def reset_clears(dut: Any) -> None:
    """One cycle of ``rst`` empties a full pipeline: it does what many cycles do, and nothing valid comes out afterwards."""
    job = load_job()
    verdict = _port_verdict(dut, job)
    if not verdict.problems and job.interface.reset:
        verdict = Verdict([], await _reset_problems(dut, job), [])
    _finish(dut, job, "reset_clears", verdict)


@cocotb.test()
async def enable_freezes(dut: Any) -> None:
    """While ``ce`` is low the outputs of a full pipeline stand still, whatever the inputs do."""
    job = load_job()
    verdict = _port_verdict(dut, job)
    if not verdict.problems and job.interface.clock_enable:
        verdict = Verdict([], await _freeze_problems(dut, job), [])
    _finish(dut, job, "enable_freezes", verdict)


def _finish(dut: Any, job: Job, name: str, verdict: Verdict) -> None:
    write_result(job, name, verdict)
    found = [*verdict.problems, *verdict.differences]
    for sentence in found:
        dut._log.error(sentence)
    assert not found, found[0]


def _port_verdict(dut: Any, job: Job) -> Verdict:
    """Whether the design has the ports of its interface, as wide as it says."""
    face = job.interface
    widths = {"in_data": face.in_bits, "out_data": face.out_bits}
    widths |= {"clk": 1} if face.clocked else {}
    widths |= {"rst": 1} if face.reset else {}
    widths |= {"ce": 1} if face.clock_enable else {}
    widths |= {"in_valid": 1, "out_valid": 1} if face.valid else {}
    found = {name: len(getattr(dut, name)) if hasattr(dut, name) else 0 for name in widths}
    return Verdict(
        [],
        [f"port {name} has {found[name]} bits, not {widths[name]}" for name in widths if found[name] != widths[name]],
        [],
    )


async def _start(dut: Any, job: Job) -> Any:
    """Starts the clock, resets where that exists, lets old samples run out; returns the trigger that ends a cycle."""
    face = job.interface
    idle = Driver(dut, face)
    idle.drive(0, False, True)
    if not face.clocked:
        return Timer(_PERIOD_NS, "ns")
    if face.reset:
        dut.rst.value = 1
    Clock(dut.clk, _PERIOD_NS, "ns", impl="gpi").start()
    end_of_cycle = FallingEdge(dut.clk)
    for _ in range(2):
        await end_of_cycle
    if face.reset:
        dut.rst.value = 0
    for _ in range(face.latency_cycles + 1):
        await end_of_cycle
    return end_of_cycle


async def _stream(dut: Any, job: Job, plan: Plan, count: int) -> Verdict:
    """Plays the plan, one trigger a cycle, and checks the first ``count`` samples' outputs."""
    end_of_cycle = await _start(dut, job)
    driver, monitor = Driver(dut, job.interface), Monitor(dut, job.interface)
    for word, valid, enabled in zip(plan.words, plan.valid, plan.enabled, strict=True):
        driver.drive(word, valid, enabled)
        await end_of_cycle
        monitor.sample(enabled)
    verdict = check_stream(
        monitor.seen.words,
        monitor.seen.cycles,
        plan.taken(),
        latency_cycles=job.interface.latency_cycles,
        has_valid=job.interface.valid,
        expected=None if job.expected is None else job.expected[:count],
    )
    unknown = monitor.seen.unknown_valid_cycles
    if unknown:
        verdict.problems.append(f"out_valid is unknown in {len(unknown)} cycles, first in cycle {unknown[0]}")
    return verdict


async def _fill(dut: Any, job: Job, end_of_cycle: Any) -> tuple[Driver, Monitor]:
    driver, monitor = Driver(dut, job.interface), Monitor(dut, job.interface)
    for cycle in range(job.interface.latency_cycles + 2):
        driver.drive(job.inputs[cycle % len(job.inputs)], True, True)
        await end_of_cycle
    return driver, monitor


async def _reset_problems(dut: Any, job: Job) -> list[str]:
    end_of_cycle = await _start(dut, job)
    once = await _after_reset(dut, job, end_of_cycle, 1, 0)
    many = await _after_reset(
        dut, job, end_of_cycle, job.interface.latency_cycles + 2, (1 << job.interface.in_bits) - 1
    )
    problems = []
    if once != many:
        problems.append(
            f"after one cycle of rst out_data, out_valid are {once}, after {job.interface.latency_cycles + 2} cycles {many}"
        )
    if any(valid not in ("", "0") for _, valid in once):
        problems.append(f"after rst out_valid is {[valid for _, valid in once]} though nothing went in")
    return problems


async def _after_reset(dut: Any, job: Job, end_of_cycle: Any, n_cycles: int, word: int) -> list[tuple[str, str]]:
    """Output ports after that many cycles of reset on a full pipeline, with ``word`` waiting, until it would have run empty."""
    driver, monitor = await _fill(dut, job, end_of_cycle)
    dut.rst.value = 1
    driver.drive(word, True, True)
    for _ in range(n_cycles):
        await end_of_cycle
    dut.rst.value = 0
    found = [monitor.ports()]
    for _ in range(job.interface.latency_cycles + 2):
        driver.drive(job.inputs[0], False, True)
        await end_of_cycle
        found.append(monitor.ports())
    return found


async def _freeze_problems(dut: Any, job: Job) -> list[str]:
    end_of_cycle = await _start(dut, job)
    driver, monitor = await _fill(dut, job, end_of_cycle)
    before = monitor.ports()
    for cycle in range(job.interface.latency_cycles + 2):
        driver.drive(job.inputs[-1 - cycle % len(job.inputs)], cycle % 2 == 0, False)
        await end_of_cycle
        if monitor.ports() != before:
            return [f"out_data, out_valid change from {before} to {monitor.ports()} in cycle {cycle + 1} with ce low"]
    return []
