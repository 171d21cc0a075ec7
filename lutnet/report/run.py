"""The report of a run as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["render_json", "render_markdown"]

NOT_MEASURED = "not measured"


def render_json(data: Mapping[str, Any]) -> str:
    """The report as JSON text; a figure that was not measured is ``null``."""
    return json.dumps(data, indent=2) + "\n"


def render_markdown(data: Mapping[str, Any]) -> str:
    """The report as a page that a person reads."""
    blocks = [
        f"# {data['name']} on {data['dataset']}",
        f"Data: {data['dataset_source']}. Seed {data['seed']}, {data['n_test']} test rows, each read once for this report.",
        _table(("figure", "value", "where it comes from"), _figures(data)),
        "## Bit-exact ladder",
        "Each rung compares two descriptions of the design; a single differing vector stops the flow.",
        _table(
            ("rung", "vectors", "mismatches", "exhaustive", "how"), [_rung(*item) for item in data["ladder"].items()]
        ),
        "## Proof",
        _proof(data["proof"]),
        "## Synthesis",
        _table(("tool", "LUTs", "FFs", "Fmax in MHz", "what it is"), [_synthesis(r) for r in data["synthesis"]])
        if data["synthesis"]
        else "Not run.",
        "## Passes",
        _table(
            ("pass", "rewrites", "nodes before", "nodes after", "checked"), [_pass(record) for record in data["passes"]]
        ),
        "## Layers",
        _layers(data),
        "## Closed-form cost",
        _table(
            ("part", "neurons", "address bits", "output bits", "table entries", "LUTs"),
            [_cost(row) for row in data["closed_form"]["rows"]],
        ),
    ]
    if data["steps_missing"]:
        blocks.insert(
            2, "Steps that have not run: " + ", ".join(f"`lutnet {name}`" for name in data["steps_missing"]) + "."
        )
    return "\n\n".join(blocks) + "\n"


def _figures(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    metric = data.get("metric", "accuracy")
    show = _percent if metric == "accuracy" else _decimal
    return [
        (f"test {metric}", show(data["test_accuracy"]), "the netlist on the test set"),
        (f"validation {metric}", show(data["validation_accuracy"]), "the best epoch; weights were chosen by it"),
        (
            f"float {metric}",
            show(data["float_accuracy"]),
            "a dense float network of the same layer sizes on the test set",
        ),
        ("LUTs", _number(data["luts"]), "yosys, UltraScale+, dual-output packing counted, decision included"),
        ("estimated LUTs", _number(data["estimated_luts"]), "counted from the netlist's nodes, with the same packing"),
        ("LUT cells", _number(data["lut_cells"]), "yosys, raw LUT1 to LUT6 cells"),
        ("MUXF, CARRY", f"{_number(data['muxf'])}, {_number(data['carry'])}", "yosys"),
        ("flip-flops", _number(data["ffs"]), "yosys"),
        ("closed-form LUTs", _number(data["closed_form_luts"]), "LogicNets' formula, before any logic is known"),
        *_pace(data),
        (
            "Fmax on ECP5",
            _unit(data["fmax_ecp5_mhz"], "MHz"),
            "nextpnr, placed and routed; an UltraScale+ part is faster",
        ),
        ("latency on ECP5", _unit(data["latency_ecp5_ns"], "ns"), "cycles / Fmax"),
        ("energy", _unit(data.get("energy_pj"), "pJ"), "a sample, dynamic; a model, see the section on layers"),
        *_arithmetic(data),
    ]


def _pace(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Latency and throughput."""
    cycles, stream = f"{data['latency_cycles']} cycles", data.get("stream")
    if stream is None:
        return [("latency", cycles, "registers from in_data to out_data; one result every clock")]
    pixels, clocks = stream["pixels_per_clock"], stream["clocks_per_image"]
    side_by_side = ", ".join(map(str, stream["kernels"]))
    return [
        ("latency", cycles, "from the last pixels of an image to the last of its result"),
        (
            "throughput",
            f"an image every {clocks:,} {'cycle' if clocks == 1 else 'cycles'}",
            f"a stream of {pixels} {'pixel' if pixels == 1 else 'pixels'} a clock; kernels side by side, stage by stage: {side_by_side}",
        ),
    ]


def _arithmetic(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The two yardsticks at 45 nm; trees have none."""
    source = "Horowitz's table for 45 nm, without memory"
    found = {
        "as integer arithmetic": (data.get("energy_integer_pj"), f"the same neurons as sums of products; {source}"),
        "as dense float network": (data.get("energy_float_pj"), f"32-bit numbers, the same layer sizes; {source}"),
    }
    return [(name, _unit(energy, "pJ"), how) for name, (energy, how) in found.items() if energy is not None]


def _decimal(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.4f}"


def _rung(name: str, rung: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        f"{rung['vectors']:,}",
        str(rung["mismatches"]),
        "yes" if rung["exhaustive"] else "no",
        rung["detail"],
    )


def _proof(proof: Mapping[str, Any] | None) -> str:
    if proof is None:
        return "Not run."
    rows = [(key.replace("_", " "), str(value)) for key, value in proof.items() if value is not None]
    return _table(("", ""), rows)


def _synthesis(report: Mapping[str, Any]) -> tuple[str, ...]:
    measured = (_number(report["luts"]), _number(report["ffs"]), _unit(report["fmax_mhz"], ""))
    figures = ["" if figure == NOT_MEASURED else figure for figure in measured]
    return (f"{report['tool']} {report['tool_version'] or ''}".strip(), *figures, report["label"])


def _pass(record: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(record[key]) for key in ("name", "n_rewrites", "n_nodes_before", "n_nodes_after", "checked"))


_LAYER_HEAD = (
    "layer",
    "output bits",
    "table bits",
    "LUTs, closed form",
    "LUTs, estimated",
    "FFs",
    "cycles",
    "ns on ECP5",
    "toggles",
    "pJ",
    "pJ as integers",
)


def _layers(data: Mapping[str, Any]) -> str:
    layers = data.get("layers")
    if layers is None:
        return "Not measured: toggles are counted on two validation rows or more."
    rows = layers["rows"]
    total = {
        "name": "all",
        "out_bits": None,
        **{key: sum(row[key] for row in rows) for key in ("table_bits", "ffs", "latency_cycles")},
        "closed_form_luts": data["closed_form_luts"],
        "luts": layers["luts"],
        "switching": {"net_toggles": sum(row["switching"]["net_toggles"] for row in rows)},
        "energy_pj": data["energy_pj"],
        "energy_integer_pj": data["energy_integer_pj"],
    }
    period_ns = None if data["fmax_ecp5_mhz"] is None else 1000.0 / data["fmax_ecp5_mhz"]
    return "\n\n".join([_table(_LAYER_HEAD, [_layer(row, period_ns) for row in [*rows, total]]), _layers_note(layers)])


def _layer(row: Mapping[str, Any], period_ns: float | None) -> tuple[str, ...]:
    """What a layer does not have, or nobody measured, is left empty."""
    counts = ("out_bits", "table_bits", "closed_form_luts", "luts", "ffs", "latency_cycles")
    energies = ("energy_pj", "energy_integer_pj")
    return (
        row["name"],
        *("" if row[key] is None else f"{row[key]:,}" for key in counts),
        "" if period_ns is None else f"{row['latency_cycles'] * period_ns:.1f}",
        f"{row['switching']['net_toggles']:,.1f}",
        *("" if row[key] is None else f"{row[key]:,.1f}" for key in energies),
    )


def _layers_note(layers: Mapping[str, Any]) -> str:
    return (
        "Layers are found in the finished netlist by the values of its nodes: "
        f"{layers['n_recognised']:,} of {layers['n_nodes']:,} were recognised, the others stand between what they read and what "
        "reads them. LUTs of a layer are those that it adds to the layers before it, estimated. Toggles are those of "
        f"routed nets, counted on {layers['n_samples']:,} validation rows, one a clock. Energy is dynamic energy of "
        f"{layers['device']} for one sample by a model: toggles times energies that are scaled from one published measurement. It "
        "serves to compare designs; its absolute value is rough, and leakage and the chip's inputs and outputs are not in it."
    )


def _cost(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in ("name", "n_neurons", "address_bits", "out_bits", "n_entries", "n_luts"))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)])


def _percent(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{100 * value:.2f} %"


def _number(value: int | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,}"


def _unit(value: float | None, unit: str) -> str:
    return NOT_MEASURED if value is None else f"{value:.1f} {unit}".strip()
