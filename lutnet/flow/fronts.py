"""The networks of one training that no other of it beats, kept on disk as they appear.

::

    <run>/front/front.csv         one line a point: epoch, validation accuracy, lookup tables, folder
    <run>/front/e0123/model/      the network of epoch 123: a run folder of its own, for `lutnet compile` and what follows
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

from torch import nn

from lutnet.errors import UserError
from lutnet.files import write_text
from lutnet.ir.estimate import estimate_luts
from lutnet.lower import lower_network
from lutnet.nn import LutNetwork
from lutnet.passes import DEFAULT_PASSES, parse_passes, run_passes
from lutnet.report.front import Point, non_dominated
from lutnet.runs import RunFolder
from lutnet.train.checkpoint import save_model
from lutnet.train.config import RunConfig
from lutnet.train.loop import EpochRecord

__all__ = ["FrontKeeper", "FrontPoint", "NetlistMeter", "load_front"]

POINTS_FILE = "front.csv"


@dataclass(frozen=True)
class FrontPoint:
    """A network of the front.

    Attributes:
        epoch: Epoch after which it was kept.
        validation_accuracy: Fraction of the validation set that it gets right.
        luts: Lookup tables, estimated from its netlist.
        folder: Name of its run folder inside the front.
    """

    epoch: int
    validation_accuracy: float
    luts: int
    folder: str


def load_front(run: RunFolder) -> tuple[FrontPoint, ...]:
    """The points of a run's front, by lookup tables; empty when it has none.

    Raises:
        UserError: The list is damaged.
    """
    path = run.front / POINTS_FILE
    if not path.is_file():
        return ()
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        points = [
            FrontPoint(int(row["epoch"]), float(row["validation_accuracy"]), int(row["luts"]), row["folder"])
            for row in rows
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); delete the folder {run.front} and train again") from None
    for point in points:
        if Path(point.folder).name != point.folder or point.folder in ("", ".", ".."):
            raise UserError(f"{path} names the folder {point.folder!r}, expected the name of a folder beside it")
    return tuple(sorted(points, key=lambda point: point.luts))


class NetlistMeter:
    """Counts the lookup tables of networks that are being trained: netlist, passes, estimate."""

    def __init__(self, config: RunConfig) -> None:
        self.passes = parse_passes(config.train.measure_passes or DEFAULT_PASSES)

    def luts(self, network: nn.Module) -> int | None:
        """Estimated lookup tables of the network's netlist after the passes; ``None`` when it can be no hardware as it is."""
        try:
            net, _ = run_passes(lower_network(cast("LutNetwork", network)), self.passes)
        except UserError:
            return None
        return estimate_luts(net).luts

    def keep(self, record: EpochRecord, network: nn.Module) -> None:
        """Takes no notice."""


class FrontKeeper(NetlistMeter):
    """Keeps networks that no other beats in accuracy and lookup tables; drops those that a new one beats."""

    def __init__(self, run: RunFolder, config: RunConfig, info: dict[str, Any], *, resume: bool) -> None:
        """Begins an empty front, or goes on with the one in the folder.

        Raises:
            UserError: The passes are unknown, or the front is damaged.
        """
        super().__init__(config)
        self.run, self.config, self.info = run, config, info
        if not resume:
            _remove_front(run.front)
        self.points = list(load_front(run))

    def keep(self, record: EpochRecord, network: nn.Module) -> None:
        """Saves the network unless another is at least as accurate and as small."""
        if record.luts is None or any(point.epoch >= record.epoch for point in self.points):
            return
        point = FrontPoint(record.epoch, record.validation_accuracy, record.luts, f"e{record.epoch:04d}")
        best = {p.name for p in non_dominated([_as_point(p) for p in (*self.points, point)])}
        if point.folder not in best:
            return
        info = self.info | {"best_epoch": record.epoch, "validation_accuracy": record.validation_accuracy}
        save_model(RunFolder(self.run.front / point.folder).model, cast("LutNetwork", network), self.config, info=info)
        beaten = [p for p in self.points if p.folder not in best]
        self.points = sorted([p for p in self.points if p.folder in best] + [point], key=lambda p: p.luts)
        write_text(self.run.front / POINTS_FILE, _points_csv(self.points))
        for old in beaten:
            shutil.rmtree(self.run.front / old.folder)


def _remove_front(folder: Path) -> None:
    if (folder / POINTS_FILE).is_file():
        shutil.rmtree(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is no front of lutnet; choose another folder or remove it first")


def _as_point(point: FrontPoint) -> Point:
    return Point(point.folder, point.validation_accuracy, float(point.luts))


def _points_csv(points: Sequence[FrontPoint]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(FrontPoint)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(point) for point in points)
    return text.getvalue()
