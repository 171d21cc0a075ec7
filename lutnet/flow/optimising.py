"""Optimising a compiled design: passes, a check after each, and a proof of the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.ir.estimate import estimate_luts
from lutnet.ir.netlist import Netlist
from lutnet.ir.registers import register_bits
from lutnet.ir.store import Design, load_design, save_design
from lutnet.passes import Pass, PassRecord, run_passes
from lutnet.passes.rare import Rare
from lutnet.runs import RunFolder
from lutnet.synth import parse_passes
from lutnet.train.data import Dataset
from lutnet.verify.equivalence import Comparison, check_equivalent, check_on_care, compare_codes, on_care
from lutnet.verify.ladder import ladder_to_json, require_rungs, timed_rung
from lutnet.verify.prove import NetlistProof, prove_netlists
from lutnet.verify.vectors import random_codes

__all__ = [
    "OPT_PRESETS",
    "Accuracy",
    "Figures",
    "Optimisation",
    "find_passes",
    "optimise_design",
    "optimise_file",
    "optimise_run",
    "wants_samples",
]

_CLEAN = "fold,narrow,fold,dedupe,dce"

OPT_PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "fast": f"{_CLEAN},decompose,{_CLEAN}",
        "area": f"{_CLEAN},absorb,recode{{max_bits=6}},{_CLEAN},dontcare,decompose,assign,{_CLEAN},collapse,"
        f"abc{{script=fast,effort=1}},{_CLEAN},retime",
        "latency": f"{_CLEAN},arith{{argmax=true}},{_CLEAN},decompose,{_CLEAN},retime{{period_ns=2.5,device=xcvu9p}}",
        "rare": f"{_CLEAN},rare,decompose,assign,{_CLEAN},retime",
    }
)
"""Lists of passes by name."""

_N_RANDOM = 10_000
_N_SAMPLES = 20_000
_N_PROOF_SAMPLES = 4_000


@dataclass(frozen=True)
class Figures:
    """What a netlist takes: estimated lookup tables, logic levels, register bits, cycles."""

    luts: int
    depth: int
    register_bits: int
    latency_cycles: int

    @classmethod
    def of(cls, net: Netlist) -> Figures:
        """Of a netlist."""
        return cls(estimate_luts(net).luts, net.depth, register_bits(net), net.latency_cycles)


@dataclass(frozen=True)
class Optimisation:
    """An optimised design.

    Attributes:
        design: The design with the new netlist.
        before: Figures of the netlist that went in.
        after: Figures of the one that came out.
        passes: What each pass did and how it was checked.
        proof: Of the new netlist against ``reference``; ``None`` when not asked for.
        accuracy: On validation data, where there are any.
        reference: What the new netlist is equal to: the old one, with the addresses that ``rare`` declared not to matter.
    """

    design: Design
    before: Figures
    after: Figures
    passes: tuple[PassRecord, ...]
    proof: NetlistProof | None
    reference: Netlist
    accuracy: Accuracy | None = None


@dataclass(frozen=True)
class Accuracy:
    """Validation accuracy, or what else the design's answer measures, of the old and the new netlist."""

    before: float
    after: float


def wants_samples(passes: str) -> bool:
    """Whether a list of passes needs training data."""
    return any(isinstance(item, Rare) for item in find_passes(passes))


def find_passes(text: str) -> tuple[Pass, ...]:
    """Passes from the name of a preset or from text such as ``"decompose{k=4},dce"``."""
    return parse_passes(OPT_PRESETS.get(text, text))


def optimise_design(
    design: Design,
    passes: str = "area",
    *,
    samples: npt.NDArray[np.int64] | None = None,
    limit: int | None = None,
    timeout_s: float | None = 600.0,
    on_pass: Callable[[str], None] | None = None,
) -> Optimisation:
    """Runs passes over a design's netlist, each result compared with what went in, and proves the whole.

    Args:
        design: The design.
        passes: Name of a preset or passes as text.
        samples: Input codes for ``rare``, int, shape ``(n, n_inputs)``.
        limit: Rewrites allowed over all passes, to bisect a fault.
        timeout_s: Most seconds of the proof; ``None`` for no proof.
        on_pass: Told of every pass, and of the proof, as it begins.

    Raises:
        UserError: An unknown pass or option, or ``rare`` without samples.
        LutnetError: A pass broke a rule or changed the function; the message names the pass.
    """
    tell = on_pass if on_pass is not None else (lambda _: None)
    items = tuple(
        replace(item, samples=samples) if isinstance(item, Rare) and samples is not None else item
        for item in find_passes(passes)
    )
    net, reference = design.netlist, design.netlist
    records: tuple[PassRecord, ...] = ()
    left = limit
    for group in _groups(items):
        sampled = samples if reference is not design.netlist or isinstance(group[-1], Rare) else None
        check = check_equivalent if sampled is None else partial(check_on_care, samples=sampled[:_N_SAMPLES])
        net, found = run_passes(net, group, check=check, limit=left, on_pass=lambda item: tell(str(item)))
        records += found
        left = None if left is None else left - sum(record.n_rewrites for record in found)
        if isinstance(group[-1], Rare):
            reference = net
    proof = None
    if timeout_s is not None:
        tell("proof")
        vectors = None if samples is None else samples[:_N_PROOF_SAMPLES].astype(np.int64)
        proof = prove_netlists(reference, net, timeout_s=timeout_s, vectors=vectors)
        proof.require()
    return Optimisation(
        replace(design, netlist=net), Figures.of(design.netlist), Figures.of(net), records, proof, reference
    )


def _groups(items: tuple[Pass, ...]) -> list[tuple[Pass, ...]]:
    """The passes with each ``rare`` by itself."""
    groups: list[tuple[Pass, ...]] = [()]
    for item in items:
        if isinstance(item, Rare):
            groups += [(item,), ()]
        else:
            groups[-1] += (item,)
    return [group for group in groups if group]


def optimise_file(source: str | Path, target: str | Path, passes: str = "area", **options: object) -> Optimisation:
    """:func:`optimise_design` from one file to another.

    Raises:
        UserError: The file is no design, or the target is no ``.npz`` file.
    """
    if Path(target).suffix != ".npz":
        raise UserError(f"a netlist is stored as a .npz file, got '{target}'; name a file such as optimised.npz")
    found = optimise_design(load_design(source), passes, **options)  # type: ignore[arg-type]
    save_design(target, found.design)
    return found


def optimise_run(
    folder: str | Path,
    passes: str = "area",
    *,
    dataset: Dataset | None = None,
    limit: int | None = None,
    timeout_s: float | None = 600.0,
    on_pass: Callable[[str], None] | None = None,
) -> Optimisation:
    """Optimises the netlist of a run in place; ``lutnet compile`` brings the old one back.

    Args:
        folder: Folder of the run, compiled.
        passes: Name of a preset or passes as text.
        dataset: Training rows for ``rare`` and validation rows to report its price on; needed for ``rare`` only.
        limit: Rewrites allowed over all passes.
        timeout_s: Most seconds of the proof; ``None`` for no proof.
        on_pass: Told of every step as it begins.

    Raises:
        UserError: There is no compiled design, or ``rare`` has no data.
        LutnetError: A pass changed the function.
    """
    run = RunFolder(Path(folder))
    design = load_design(run.netlist)
    encoder = design.encoder
    samples = None
    if dataset is not None and encoder is not None:
        samples = encoder.encode(dataset.train.x)
    found = optimise_design(design, passes, samples=samples, limit=limit, timeout_s=timeout_s, on_pass=on_pass)
    if dataset is not None and encoder is not None:
        found = replace(
            found,
            accuracy=_accuracy(design, found.design, encoder.encode(dataset.validation.x), dataset.validation.y),
        )
    codes = random_codes(design.netlist.input_widths, _N_RANDOM, seed=2)
    if dataset is not None and encoder is not None:
        codes = np.concatenate([encoder.encode(dataset.validation.x), codes])
    rung = timed_rung(
        "opt",
        "netlist after `lutnet opt` == before" + (" on the care set" if found.reference is not design.netlist else ""),
        lambda: _compare(found, codes),
    )
    require_rungs([rung])
    result = {
        "passes": [asdict(record) for record in found.passes],
        "ladder": ladder_to_json([rung]),
        "before": asdict(found.before),
        "after": asdict(found.after),
        "proof": None if found.proof is None else found.proof.to_json(),
        "validation": None if found.accuracy is None else asdict(found.accuracy),
    }
    save_design(run.netlist, found.design)
    run.drop_results("simulate", "prove", "synth")
    run.save_result("opt", result)
    return found


def _compare(found: Optimisation, codes: npt.NDArray[np.int64]) -> Comparison:
    """On the inputs that the reference cares for."""
    cared = codes[on_care(found.reference, codes)]
    return compare_codes(cared, found.reference.evaluate(cared), found.design.netlist.evaluate(cared))


def _accuracy(before: Design, after: Design, codes: npt.NDArray[np.int64], y: npt.NDArray[Any]) -> Accuracy:
    """By the answer of the design."""
    return Accuracy(*(design.answer.score(design.netlist.evaluate(codes), y) for design in (before, after)))
