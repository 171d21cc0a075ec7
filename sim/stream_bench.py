"""The tests of a stream: images without gap, with gaps, alone, and after a reset in the middle of one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from driver import Driver
from monitor import Monitor, Seen

from lutnet.stream.interface import StreamInterface, load_stream_interface

_PERIOD_NS = 2
_GAP_IMAGES = 8
_RESET_IMAGES = 3

Cycle = tuple[int, bool]
"""Value of ``in_data``, and whether ``in_valid`` is high."""


@cocotb.test()
async def images_follow(dut: Any) -> None:
    """A group every clock, image after image; every result comes out."""
    face, words = _job()
    await _restart(dut, face)
    seen = await _play(dut, face, [(word, True) for word in words])
    _finish(dut, "images_follow", seen, _count_problems(face, seen, len(words)))


@cocotb.test()
async def images_with_gaps(dut: Any) -> None:
    """Clocks without input inside and between images, other data on ``in_data`` meanwhile; the same results come out."""
    face, words = _job()
    chosen = words[: _GAP_IMAGES * face.n_in]
    await _restart(dut, face)
    seen = await _play(dut, face, _with_gaps(face, chosen, Random(len(words))))
    _finish(dut, "images_with_gaps", seen, _count_problems(face, seen, len(chosen)))


@cocotb.test()
async def image_alone(dut: Any) -> None:
    """The last group of a result comes as many registers after the last group of its image as ``stream.json`` says."""
    face, words = _job()
    await _restart(dut, face)
    seen = await _play(dut, face, [(word, True) for word in words[: face.n_in]])
    problems = _count_problems(face, seen, face.n_in)
    if not problems:
        found = seen.cycles[-1] - (face.n_in - 1) + 1
        if found != face.latency_cycles:
            problems = [f"the latency is {found} registers, stream.json says {face.latency_cycles}"]
    _finish(dut, "image_alone", seen, problems)


@cocotb.test()
async def reset_forgets(dut: Any) -> None:
    """After a clock of ``rst`` in the middle of an image the next group is the first one of an image."""
    face, words = _job()
    random = Random(len(words))
    kept = Seen()
    problems: list[str] = []
    await _restart(dut, face)
    for image in range(min(_RESET_IMAGES, len(words) // face.n_in)):
        lost = words[: face.n_in + random.randrange(face.n_in)]
        await _cycles(dut, face, [(word, True) for word in lost], [])
        dut.rst.value = 1
        await _cycles(dut, face, [(words[0], bool(image % 2))], [])
        dut.rst.value = 0
        group = words[image * face.n_in : (image + 1) * face.n_in]
        seen = await _play(dut, face, [(word, True) for word in group])
        problems += _count_problems(face, seen, len(group))
        kept.words += seen.words
    _finish(dut, "reset_forgets", kept, problems)


def _job() -> tuple[StreamInterface, list[int]]:
    """Ports and groups that the folder ``LUTNET_JOB`` names: ``stream.json`` and ``words.txt``, a hexadecimal number a line."""
    folder = Path(os.environ["LUTNET_JOB"])
    words = [int(line, 16) for line in (folder / "words.txt").read_text().split()]
    return load_stream_interface(folder / "stream.json"), words


def _finish(dut: Any, name: str, seen: Seen, problems: Sequence[str]) -> None:
    """Leaves ``<name>.txt`` with one output word a line and ``<name>.json`` with what was found."""
    folder = Path(os.environ["LUTNET_JOB"])
    (folder / f"{name}.json").write_text(json.dumps({"problems": list(problems)}))
    (folder / f"{name}.txt").write_text("".join(word + "\n" for word in seen.words))
    for sentence in problems:
        dut._log.error(sentence)
    assert not problems, problems[0]


def _count_problems(face: StreamInterface, seen: Seen, n_groups: int) -> list[str]:
    wanted = n_groups // face.n_in * face.n_out
    problems = []
    if len(seen.words) != wanted:
        problems.append(f"{n_groups // face.n_in} images went in, {len(seen.words)} groups came out, not {wanted}")
    unknown = seen.unknown_valid_cycles
    if unknown:
        problems.append(f"out_valid is unknown in {len(unknown)} clocks, first in clock {unknown[0]}")
    return problems


def _with_gaps(face: StreamInterface, words: Sequence[int], random: Random) -> list[Cycle]:
    """Short gaps inside images, none to very long ones between them, and stretches without any."""
    mask = (1 << face.in_bits) - 1
    found: list[Cycle] = []
    for number, word in enumerate(words):
        if number % face.n_in == 0:
            chance = random.choice((0.0, 0.2, 0.6))
            pause = random.choice((0, 1, random.randrange(face.n_in + 1), max(0, face.latency_cycles) + 3))
            found += [(word ^ mask, False)] * pause
        while random.random() < chance:
            found.append((word ^ mask, False))
        found.append((word, True))
    return found


async def _restart(dut: Any, face: StreamInterface) -> None:
    """Starts the clock and resets."""
    Driver(dut, face.ports()).drive(0, False, True)
    dut.rst.value = 1
    Clock(dut.clk, _PERIOD_NS, "ns", impl="gpi").start()
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


async def _play(dut: Any, face: StreamInterface, cycles: Sequence[Cycle]) -> Seen:
    """Plays cycles, and idle ones until the last result is out and a few more, in which nothing may follow."""
    return await _cycles(dut, face, cycles, [(cycles[-1][0], False)] * (max(0, face.latency_cycles) + 8))


async def _cycles(dut: Any, face: StreamInterface, cycles: Iterable[Cycle], idle: Iterable[Cycle]) -> Seen:
    ports = face.ports()
    driver, monitor = Driver(dut, ports), Monitor(dut, ports)
    end_of_cycle = FallingEdge(dut.clk)
    for part in (cycles, idle):
        for word, valid in part:
            driver.drive(word, valid, True)
            await end_of_cycle
            monitor.sample(True)
    return monitor.seen
