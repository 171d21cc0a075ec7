"""Search spaces: a TOML file, or a built-in one by name."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from lutnet.errors import UserError
from lutnet.nn import FAMILIES, QUANTIZERS, WIRED_FAMILIES
from lutnet.nn.wiring_options import WIRINGS
from lutnet.search.configure import LAYER_FIELDS, Ask, configure, layer_dimensions, widest_address
from lutnet.search.dimensions import Choice, Dimension, Value, dimension_from, is_range
from lutnet.search.objective import Objective
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig, config_from_dict
from lutnet.train.presets import find_config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["SPACES", "SearchSpace", "find_space", "load_space", "space_from_dict"]

SPACES = ("jets", "jets-families")
"""Built-in spaces by name."""

_KEYS = ("name", "base", "dataset", "rows", "seed", "model", "train", "objective", "space", "start")

_VARIED = ("family", "activation", "layer_activations", "widths.granularity")
"""Dimensions without an order that decide how wide the tables of a network are."""


@dataclass(frozen=True)
class SearchSpace:
    """What is searched, and how trials are trained and judged.

    Attributes:
        name: Name of the search; the name of its study in the store.
        base: Configuration of everything that is not searched.
        dimensions: What is searched, by key: fields of the model, ``train.`` and fields of the training, dots into tables of
            settings, ``n_hidden_layers``, and per-layer fields, which every layer has for itself.
        objective: How trials are judged.
        rows: Training rows of a trial, the first ones; 0 for all.
        seed: Of the sampler.
        start: Values of trials that are made first, by key; lists for per-layer fields.
    """

    name: str
    base: RunConfig
    dimensions: Mapping[str, Dimension]
    objective: Objective = field(default_factory=Objective)
    rows: int = 0
    seed: int = 0
    start: tuple[Mapping[str, Any], ...] = ()

    def with_objective(self, *, mode: str | None = None, cost: str | None = None) -> SearchSpace:
        """The same with another mode or cost; a reference cost in another unit is forgotten.

        Raises:
            UserError: A name is unknown.
        """
        objective = self.objective
        if mode is not None:
            objective = replace(objective, mode=mode)
        if cost is not None and cost != objective.cost:
            objective = replace(objective, cost=cost, reference_cost=0.0)
        return replace(self, objective=objective)

    def configure(self, n_features: int, ask: Ask) -> RunConfig:
        """The configuration of a trial; see :func:`lutnet.search.configure.configure`."""
        return configure(self.base, self.dimensions, n_features, ask)

    def smallest(self, n_features: int) -> RunConfig:
        """The configuration with the narrowest tables of the space, by the least values of its numbers.

        Raises:
            UserError: Not even that one fits the table budget, so that nothing does.
        """
        found = min((self.configure(n_features, ask) for ask in self._corners()), key=lambda c: _widest(c, n_features))
        bits, budget = _widest(found, n_features), found.model.max_address_bits
        if bits > budget:
            raise UserError(
                f"nothing in the search space '{self.name}' fits the table budget: even the narrowest network has a table of {bits} "
                f"address bits, model.max_address_bits allows {budget}; lower the fan-ins or bits of the space, or raise the budget"
            )
        return found

    def start_values(self, n_features: int) -> list[dict[str, Value]]:
        """The values of the first trials by the names that trials give them.

        Raises:
            UserError: A value is not in the space.
        """
        return [dict(self._flat(index, point, n_features)) for index, point in enumerate(self.start)]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON data: what must be equal for two workers to share a study."""
        return {
            "name": self.name,
            "base": self.base.to_dict(),
            "dimensions": {key: asdict(dimension) for key, dimension in self.dimensions.items()},
            "rows": self.rows,
            "seed": self.seed,
            "start": [dict(point) for point in self.start],
        }

    def _corners(self) -> Iterator[Ask]:
        """Ways to answer: every choice of names that decides how wide tables are, the least number of each range."""
        varied = [key for key in _VARIED if key in self.dimensions]
        for values in itertools.product(*(self.dimensions[key].ends for key in varied)):
            fixed = dict(zip(varied, values, strict=True))
            if "max_address_bits" in self.dimensions:
                fixed["max_address_bits"] = max(self.dimensions["max_address_bits"].ends)
            yield partial(_corner, fixed)

    def _flat(self, index: int, point: Mapping[str, Any], n_features: int) -> Iterator[tuple[str, Value]]:
        where = f"the search space '{self.name}', start {index + 1}"
        n_hidden = point.get("n_hidden_layers", len(self.base.model.hidden_layers))
        for key, value in point.items():
            if key not in self.dimensions:
                raise UserError(f"{where}: '{key}' is not searched; known are {', '.join(self.dimensions)}")
            pairs: list[tuple[tuple[str, Dimension], Any]] = [((key, self.dimensions[key]), value)]
            if key in LAYER_FIELDS or key == "feature_bits":
                names = (
                    layer_dimensions(self.dimensions, key, n_hidden)
                    if key != "feature_bits"
                    else tuple((f"{key}.{i}", self.dimensions[key]) for i in range(n_features))
                )
                if not isinstance(value, list) or len(value) != len(names):
                    raise UserError(f"{where}: '{key}' is a list of {len(names)} values, got {value!r}")
                pairs = list(zip(names, value, strict=True))
            for (name, dimension), found in pairs:
                if found not in dimension:
                    raise UserError(f"{where}: '{name}' is {dimension}, got {found!r}")
                yield name, found


def find_space(name_or_path: str) -> SearchSpace:
    """A built-in space by name, or one from a TOML file.

    Raises:
        UserError: It is neither, or the file is not a space.
    """
    if name_or_path in SPACES:
        text = (files("lutnet.search") / "spaces" / f"{name_or_path}.toml").read_text(encoding="utf-8")
        return space_from_dict(tomllib.loads(text), where=f"the built-in space '{name_or_path}'")
    if Path(name_or_path).suffix == ".toml" or Path(name_or_path).exists():
        return load_space(name_or_path)
    raise UserError(f"'{name_or_path}' is no TOML file and no built-in search space; known are {', '.join(SPACES)}")


def load_space(path: str | Path) -> SearchSpace:
    """Reads a space file; see docs/search.md.

    Raises:
        UserError: The file is missing, is no TOML, or says something that cannot be searched.
    """
    source = Path(path)
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the search space {source}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{source} is no TOML file: {error}") from None
    data.setdefault("name", source.stem)
    base = data.get("base")
    if isinstance(base, str) and base.endswith(".toml"):
        data["base"] = str(source.parent / base)
    return space_from_dict(data, where=str(source))


def space_from_dict(data: Mapping[str, Any], *, where: str = "search space") -> SearchSpace:
    """The space that the content of a space file describes.

    Raises:
        UserError: An unknown key, a value of another type, or nothing to search.
    """
    _known(data, _KEYS, where)
    name, rows, seed = data.get("name", "search"), data.get("rows", 0), data.get("seed", 0)
    if not isinstance(name, str) or not name or any(type(n) is not int or n < 0 for n in (rows, seed)):
        raise UserError(f"{where}: name is text, rows and seed are whole numbers, got {name!r}, {rows!r} and {seed!r}")
    base = _base_from(data, name, where)
    tables = {key: data.get(key, {}) for key in ("objective", "space")}
    if not all(isinstance(table, Mapping) for table in tables.values()):
        raise UserError(f"{where}: [objective] and [space] are tables")
    dimensions = dict(_dimensions_from(tables["space"], "", f"{where}, [space]"))
    if not dimensions:
        raise UserError(f"{where}: there is nothing to search; name fields and their values in [space]")
    for key, dimension in dimensions.items():
        _check_dimension(key, dimension, f"{where}, [space]")
    _check_depth(base, dimensions, where)
    start = data.get("start", [])
    if not isinstance(start, list) or not all(isinstance(point, Mapping) for point in start):
        raise UserError(f"{where}: start is a list of tables, each begun with [[start]]")
    objective = _objective_from(tables["objective"], where)
    return SearchSpace(name, base, dimensions, objective, rows, seed, tuple(start))


def _base_from(data: Mapping[str, Any], name: str, where: str) -> RunConfig:
    chosen = data.get("base", "jsc-s")
    if not isinstance(chosen, str):
        raise UserError(f"{where}: base is the name of a configuration or a TOML file, got {chosen!r}")
    whole = find_config(chosen).to_dict()
    for part in ("model", "train"):
        if not isinstance(data.get(part, {}), Mapping):
            raise UserError(f"{where}: '{part}' is a table of settings, got {data[part]!r}")
        whole[part] = _merged(whole[part], data.get(part, {}))
    return config_from_dict(whole | {"name": name, "dataset": data.get("dataset", whole["dataset"])}, where=where)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    inner = {
        key: _merged(old[key], value)
        for key, value in new.items()
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
    }
    return {**old, **new, **inner}


def _objective_from(data: Mapping[str, Any], where: str) -> Objective:
    defaults = asdict(Objective())
    _known(data, tuple(defaults), f"{where}, [objective]")
    values: dict[str, Any] = {key: float(value) if type(value) is int else value for key, value in data.items()}
    for key, value in values.items():
        if type(value) is not type(defaults[key]):
            raise UserError(f"{where}, [objective]: '{key}' is a value like {defaults[key]!r}, got {data[key]!r}")
    return Objective(**values)


def _dimensions_from(data: Mapping[str, Any], prefix: str, where: str) -> Iterator[tuple[str, Dimension]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and not is_range(value):
            yield from _dimensions_from(value, f"{prefix}{key}.", where)
        else:
            yield f"{prefix}{key}", dimension_from(value, f"{where}: '{prefix}{key}'")


def _check_dimension(key: str, dimension: Dimension, where: str) -> None:
    """Refuses keys that no configuration has and values that it cannot have."""
    names = {"layer_activations": tuple(QUANTIZERS), "layer_families": tuple(WIRED_FAMILIES), "layer_wirings": WIRINGS}
    names |= {"activation": tuple(QUANTIZERS), "output_activation": tuple(QUANTIZERS), "family": (*FAMILIES, "trees")}
    whole = {"n_hidden_layers", "hidden_layers", "layer_bitwidths", "layer_fanins", "feature_bits"}
    if key not in whole | set(names):
        _known({key: None}, tuple(_searchable()), where)
    for value in dimension.ends:
        if key in whole:
            if type(value) is not int or value < (0 if key == "n_hidden_layers" else 1):
                raise UserError(f"{where}: '{key}' has whole numbers of at least 1, got {value!r}")
        elif key in names:
            if value not in names[key]:
                raise UserError(f"{where}: '{key}' has values out of {', '.join(sorted(names[key]))}, got {value!r}")
        else:
            _check_value(key, value, where)


def _check_value(key: str, value: Value, where: str) -> None:
    nested: Any = value
    path = key.split(".") if key.startswith("train.") else ["model", *key.split(".")]
    for name in reversed(path):
        nested = {name: nested}
    config_from_dict(nested, where=where)


def _searchable() -> Iterator[str]:
    """Every key that a dimension can have."""
    yield "n_hidden_layers"
    yield from LAYER_FIELDS
    model = ModelConfig()
    for entry in fields(model):
        value = getattr(model, entry.name)
        if is_dataclass(value) and not isinstance(value, type):
            yield from (f"{entry.name}.{key}" for key, inner in asdict(value).items() if not isinstance(inner, tuple))
        elif not isinstance(value, tuple) or entry.name == "feature_bits":
            yield entry.name
    yield from (f"train.{key}" for key, value in asdict(TrainConfig()).items() if not isinstance(value, tuple))


def _check_depth(base: RunConfig, dimensions: Mapping[str, Dimension], where: str) -> None:
    if "n_hidden_layers" not in dimensions:
        return
    given = [key for key in LAYER_FIELDS if key not in dimensions and getattr(base.model, key)]
    if given:
        raise UserError(
            f"{where}: n_hidden_layers is searched, so that model.{given[0]} cannot have a fixed length; search it too"
            + ("" if given[0] == "hidden_layers" else ", or leave it empty")
        )


def _known(data: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in data:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "docs/search.md lists what can be said"
            raise UserError(f"{where}: unknown key '{key}'; {hint}")


def _corner(fixed: Mapping[str, Value], name: str, dimension: Dimension) -> Value:
    """The fixed value of a key, else the least number, or the first name."""
    for key in (name, name.split(".", maxsplit=1)[0]):
        if key in fixed:
            return fixed[key]
    if isinstance(dimension, Choice) and isinstance(dimension.values[0], str):
        return dimension.values[0]
    return min(dimension.ends)


def _widest(config: RunConfig, n_features: int) -> int:
    return widest_address(config.model, n_features) if config.model.family in WIRED_FAMILIES else 0
