"""A stream as Verilog-2001: a module of windows a stage, the kernels as the netlist's back end writes them, and the module that joins them.

Pixels are kept in shift registers: there is no memory, and nothing is addressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from lutnet.backends.names import checked_identifier
from lutnet.backends.templates import read_template
from lutnet.backends.verilog import Verilog
from lutnet.backends.verilog_tables import literal
from lutnet.stream.design import StreamDesign
from lutnet.stream.estimate import counter_bits
from lutnet.stream.interface import StreamInterface
from lutnet.stream.schedule import Schedule, Span, Tap

__all__ = ["StreamVerilog"]


@dataclass(frozen=True)
class StreamVerilog:
    """Emits a stream for Vivado, yosys, Icarus and Verilator; see ``docs/streaming.md``.

    Attributes:
        top: Name of the top module; every other module's name starts with it.
        tables: Style of the tables, see :data:`lutnet.backends.verilog_tables.TABLE_STYLES`.
    """

    top: str = "lutnet_top"
    tables: str = "case"

    def __post_init__(self) -> None:
        checked_identifier(self.top, "the name of the top module")
        self.kernel(0)

    def kernel(self, stage: int) -> Verilog:
        """The back end that writes the kernel of a stage."""
        return Verilog(top=f"{self.top}_kernel{stage}", tables=self.tables)

    def interface(self, design: StreamDesign) -> StreamInterface:
        """The ports of the top module."""
        last = design.schedules[-1]
        out_rows, out_columns = last.stage.out_size
        return StreamInterface(
            top=self.top,
            rows=design.rows,
            columns=design.columns,
            pixels_per_clock=design.pixels_per_clock,
            widths=design.widths,
            order=design.order,
            out_rows=out_rows,
            out_columns=out_columns,
            out_pixels_per_clock=last.out_lanes,
            out_widths=last.stage.out_widths,
            latency_cycles=design.latency_cycles,
        )

    def emit(self, design: StreamDesign) -> dict[PurePosixPath, str]:
        """``<top>_kernel<i>.v`` for each stage, ``<top>.v`` and ``stream.json``."""
        files = {}
        for i, stage in enumerate(design.stages):
            path = PurePosixPath(f"{self.top}_kernel{i}.v")
            files[path] = self.kernel(i).emit(stage.kernel)[path]
        files[PurePosixPath(f"{self.top}.v")] = self._top(design)
        files[PurePosixPath("stream.json")] = self.interface(design).to_json()
        return files

    # -- pieces ------------------------------------------------------------------------------------------------------

    def _top(self, design: StreamDesign) -> str:
        import lutnet

        face = self.interface(design)
        schedules = design.schedules
        body = [line for i, schedule in enumerate(schedules) for line in self._stage(i, schedule)]
        last = len(schedules) - 1
        body += [f"  assign out_valid = valid{last};", f"  assign out_data = data{last};"]
        kernels = ", ".join(str(schedule.out_lanes) for schedule in schedules)
        return read_template("verilog/stream_top.v").substitute(
            top=self.top,
            version=lutnet.__version__,
            summary=f"{len(schedules)} stages with {kernels} kernels",
            in_high=face.in_bits - 1,
            out_high=face.out_bits - 1,
            in_pixels=_count(face.pixels_per_clock, "pixel"),
            in_channels=_count(len(face.widths), "channel"),
            out_pixels=_count(face.out_pixels_per_clock, "pixel"),
            out_channels=_count(len(face.out_widths), "channel"),
            clocks=face.n_in,
            latency=face.latency_cycles,
            windows="\n".join(
                _window_module(f"{self.top}_window{i}", f"stage {i}", schedule)
                for i, schedule in enumerate(schedules)
                if not schedule.pointwise
            ),
            body="\n".join(body),
        )

    def _stage(self, number: int, schedule: Schedule) -> list[str]:
        """A window module, its kernels, and a valid bit as late as theirs."""
        kernel = schedule.stage.kernel
        in_bits, out_bits = sum(kernel.input_widths), sum(kernel.output_widths)
        source = f"data{number - 1}" if number else "in_data"
        ready = f"valid{number - 1}" if number else "in_valid"
        window = f"  wire [{schedule.out_lanes * in_bits - 1}:0] window{number}"
        if schedule.pointwise:
            lines = [f"  wire window{number}_valid = {ready};", f"{window} = {source};"]
        else:
            lines = [
                f"  wire window{number}_valid;",
                f"{window};",
                f"  {self.top}_window{number} window{number}_line (.clk(clk), .rst(rst), .in_valid({ready}), .in_data({source}), "
                f".out_valid(window{number}_valid), .out_data(window{number}));",
            ]
        lines.append(f"  wire [{schedule.out_lanes * out_bits - 1}:0] data{number};")
        clock = ".clk(clk), " if kernel.latency_cycles else ""
        for lane in range(schedule.out_lanes):
            reads = f"window{number}[{(lane + 1) * in_bits - 1}:{lane * in_bits}]"
            makes = f"data{number}[{(lane + 1) * out_bits - 1}:{lane * out_bits}]"
            lines.append(
                f"  {self.top}_kernel{number} kernel{number}_{lane} ({clock}.in_data({reads}), .out_data({makes}));"
            )
        return lines + _delayed_valid(number, kernel.latency_cycles)


def _delayed_valid(number: int, n_registers: int) -> list[str]:
    source = f"window{number}_valid"
    if n_registers == 0:
        return [f"  wire valid{number} = {source};"]
    chain = f"valid{number}_chain"
    shifted = source if n_registers == 1 else f"{{{chain}[{n_registers - 2}:0], {source}}}"
    return [
        f"  reg  [{n_registers - 1}:0] {chain};",
        f"  always @(posedge clk) {chain} <= rst ? {literal(0, n_registers)} : {shifted};",
        f"  wire valid{number} = {chain}[{n_registers - 1}];",
    ]


def _window_module(module: str, name: str, schedule: Schedule) -> str:
    stage = schedule.stage
    group_bits = schedule.lanes * stage.pixel_bits
    line_bits = schedule.depth * group_bits
    taken, x, y, x_phase, y_phase = counter_bits(schedule)
    masks = _masks(schedule)
    numbers: dict[str, object] = {
        "first": literal(schedule.first, taken),
        "taken_last": literal(schedule.n_in - 1, taken),
    }
    numbers |= {"x_end": literal(schedule.groups - 1, x), "x_last": literal(schedule.last_group, x)}
    numbers |= {"y_last": literal(schedule.last_row, y), "x_phase_last": literal(schedule.every - 1, x_phase)}
    numbers |= {"y_phase_last": literal(stage.rows.stride - 1, y_phase)}
    widths = {"taken": taken, "x": x, "y": y, "x_phase": x_phase, "y_phase": y_phase}
    numbers |= {f"{key}_zero": literal(0, width) for key, width in widths.items()}
    numbers |= {f"{key}_one": literal(1, width) for key, width in widths.items()}
    numbers |= {f"{key}_high": width - 1 for key, width in widths.items()}
    return read_template("verilog/stream_window.v").substitute(
        numbers,
        module=module,
        name=name,
        kernel_rows=stage.rows.kernel,
        kernel_columns=stage.columns.kernel,
        rows=stage.rows.size,
        columns=stage.columns.size,
        pixel_bits=stage.pixel_bits,
        lanes=_count(schedule.lanes, "pixel"),
        groups=schedule.groups,
        n_in=schedule.n_in,
        out_lanes=schedule.out_lanes,
        out_groups=schedule.out_groups,
        n_out=schedule.n_out,
        in_high=group_bits - 1,
        out_high=schedule.out_lanes * sum(stage.kernel.input_widths) - 1,
        line_high=line_bits - 1,
        line_oldest=line_bits - group_bits,
        line_next=f"{{line[{line_bits - group_bits - 1}:0], in_data}}" if schedule.depth > 1 else "in_data",
        declarations="".join(f"  reg  {name};\n" for name in masks.values()),
        masks="\n".join(f"    if (step) {name} <= {_inside(schedule, *spans)};" for spans, name in masks.items()),
        windows=_registered_windows(schedule, masks) if schedule.masked else _plain_windows(schedule),
    )


_Masks = dict[tuple[Span | None, Span | None], str]


def _masks(schedule: Schedule) -> _Masks:
    """A register for each pair of spans: whether the places with these spans lie on the map."""
    pairs = [(tap.rows, tap.groups) for taps in schedule.taps for tap in taps if tap is not None and tap.masked]
    return {pair: f"inside{i}" for i, pair in enumerate(dict.fromkeys(pairs))}


def _inside(schedule: Schedule, rows: Span | None, groups: Span | None) -> str:
    """Whether the step that is being made lies in both spans; comparisons that every window passes are left out."""
    _, x_bits, y_bits, _, _ = counter_bits(schedule)
    terms = []
    for name, span, last, bits in (("y", rows, schedule.last_row, y_bits), ("x", groups, schedule.last_group, x_bits)):
        if span is not None and span.first > 0:
            terms.append(f"({name} >= {literal(span.first, bits)})")
        if span is not None and span.last < last:
            terms.append(f"({name} <= {literal(span.last, bits)})")
    return " & ".join(terms)


def _part(tap: Tap, schedule: Schedule) -> str:
    low = (tap.age * schedule.lanes + tap.lane) * schedule.stage.pixel_bits
    return f"line[{low + schedule.stage.pixel_bits - 1}:{low}]"


def _places(schedule: Schedule) -> list[tuple[str, Tap | None]]:
    """Each pixel of ``out_data``, from the least significant one, with what stands there in words."""
    columns = schedule.stage.columns.kernel
    return [
        (f"window {lane}, row {place // columns}, column {place % columns}", tap)
        for lane, taps in enumerate(schedule.taps)
        for place, tap in enumerate(taps)
    ]


def _plain_windows(schedule: Schedule) -> str:
    bits = schedule.stage.pixel_bits
    lines = ["  assign out_valid = complete;"]
    for i, (where, tap) in enumerate(_places(schedule)):
        assert tap is not None
        lines.append(f"  assign out_data[{(i + 1) * bits - 1}:{i * bits}] = {_part(tap, schedule)};  // {where}")
    return "\n".join(lines)


def _registered_windows(schedule: Schedule, masks: _Masks) -> str:
    """Windows behind a register whose synchronous reset is the mask, so that masks take no logic in front of the kernel."""
    stage = schedule.stage
    bits = stage.pixel_bits
    code = sum(code << sum(stage.widths[:i]) for i, code in enumerate(stage.outside))
    outside = literal(code, bits)
    places = _places(schedule)
    lines = [
        f"  reg  [{len(places) * bits - 1}:0] window;",
        "  reg  window_valid;",
        "  always @(posedge clk) window_valid <= complete & ~rst;",
        "  always @(posedge clk) begin",
    ]
    for i, (where, tap) in enumerate(places):
        value = outside if tap is None else _part(tap, schedule)
        if tap is not None and tap.masked:
            value = f"{masks[tap.rows, tap.groups]} ? {value} : {outside}"
        lines.append(f"    window[{(i + 1) * bits - 1}:{i * bits}] <= {value};  // {where}")
    return "\n".join([*lines, "  end", "  assign out_valid = window_valid;", "  assign out_data = window;"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")
