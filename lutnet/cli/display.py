"""What the commands print: consoles, progress bars, tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from lutnet.nn import LutNetwork
    from lutnet.nn.cost import NetworkCost
    from lutnet.train.loop import EpochRecord

__all__ = ["ERR", "OUT", "cost_table", "download_bar", "epoch_bar", "round_bar", "steps", "width_table"]

WIDTH = None if sys.stdout.isatty() else 140
OUT = Console(soft_wrap=True, highlight=False, width=WIDTH)
ERR = Console(stderr=True, soft_wrap=True, highlight=False)


def cost_table(cost: NetworkCost) -> Table:
    """Closed-form cost by layer."""
    table = Table("part", "neurons", "address bits", "output bits", "table entries", "LUTs (closed form)")
    for row in cost.rows:
        table.add_row(row.name, *map(str, (row.n_neurons, row.address_bits, row.out_bits, row.n_entries, row.n_luts)))
    table.add_row("all", "", "", "", str(cost.n_entries), str(cost.n_luts))
    return table


def width_table(network: LutNetwork) -> Table | None:
    """How many connections of each layer read so many bits, where widths were learned."""
    import numpy as np

    from lutnet.nn import LutLayer

    named = network.layers.named_children()
    layers = [(name, layer) for name, layer in named if isinstance(layer, LutLayer) and layer.widths is not None]
    if not layers:
        return None
    counts = [np.bincount(layer.operand_bits().reshape(-1)) for _, layer in layers]
    n_columns = max(map(len, counts))
    heads = [f"{bits} bit{'' if bits == 1 else 's'}" for bits in range(n_columns)]
    table = Table("layer", *heads, "address bits", "code bits")
    for (name, layer), count in zip(layers, counts, strict=True):
        numbers = [str(n) for n in (*count, *[0] * (n_columns - len(count)))]
        address = layer.address_bits()
        codes = layer.quantizer.needed_bits(layer.out_features).detach().round().int().tolist()
        table.add_row(f"layer{name}", *numbers, f"{address.min()} to {address.max()}", f"{min(codes)} to {max(codes)}")
    return table


@contextmanager
def epoch_bar(n_epochs: int) -> Iterator[Callable[[str, EpochRecord], None]]:
    """A bar for each thing that is trained; the yielded function is told of every epoch."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=ERR) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(kind: str, record: EpochRecord) -> None:
            if kind not in tasks:
                tasks[kind] = bar.add_task(kind, total=n_epochs if kind == "network" else None, figures="")
            figures = f"loss {record.loss:.4f}  validation {record.validation_accuracy:.4f}  {record.samples_per_s:,.0f} rows/s"
            bar.update(tasks[kind], completed=record.epoch + 1, figures=figures)

        yield tell


@contextmanager
def round_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar for boosting; the yielded function takes the rounds done and the rounds in all."""
    with Progress(console=ERR) as bar:
        tasks: list[TaskID] = []

        def tell(done: int, total: int) -> None:
            if not tasks:
                tasks.append(bar.add_task("rounds", total=total))
            bar.update(tasks[0], completed=done)

        yield tell


@contextmanager
def download_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each download; the yielded function takes name, bytes so far and bytes in all."""
    with Progress(console=ERR, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield tell


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """A line that says what is being done now."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=ERR, transient=True
    ) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda name: bar.update(task, description=name)
