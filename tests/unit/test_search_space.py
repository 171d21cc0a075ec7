"""Search spaces: what can be said in a file, what a trial makes of it, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from lutnet.errors import UserError
from lutnet.search import SPACES, Figures, Objective, find_space, forgiving_factor, load_space
from lutnet.search.configure import describe_layers, widest_address
from lutnet.search.dimensions import Choice, Range, dimension_from
from lutnet.search.space import space_from_dict

DIMENSIONS = {
    "n_hidden_layers": [1, 2],
    "hidden_layers": {"low": 8, "high": 32, "step": 8},
    "input_bitwidth": {"low": 1, "high": 4},
    "layer_bitwidths": {"low": 1, "high": 3},
    "output_bitwidth": {"low": 2, "high": 5},
    "layer_fanins": {"low": 2, "high": 40},
    "layer_activations": ["hard-tanh", "binary", "ternary"],
}


def space(**changes):
    return space_from_dict({"name": "t", "space": DIMENSIONS, **changes})


def answers(**values):
    """Answers by name or by key; else the greatest value."""

    def ask(name, dimension):
        key = name.split(".")[0]
        value = values.get(name, values.get(key, dimension.ends[-1]))
        assert value in dimension, name
        return value

    return ask


class TestDimensions:
    def test_lists_and_single_values(self) -> None:
        assert dimension_from([1, 2], "x") == Choice((1, 2))
        assert dimension_from("a", "x") == Choice(("a",))
        assert 1 in Choice((1, 2)) and True not in Choice((1, 2)) and 1.0 not in Choice((1, 2))

    def test_ranges(self) -> None:
        whole = dimension_from({"low": 2, "high": 9, "step": 3}, "x")
        assert whole == Range(2, 8, 3) and 5 in whole and 6 not in whole and 5.0 not in whole
        real = dimension_from({"low": 1e-4, "high": 1, "log": True}, "x")
        assert real == Range(1e-4, 1.0, 0.0, True) and 0.5 in real and 2.0 not in real

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ([], "list of values or a range"),
            ([1, 1], "a value twice"),
            ({"low": 3, "high": 1}, "low is at most high"),
            ({"low": 0, "high": 1, "log": True}, "positive with log"),
            ({"low": 1, "high": 4, "step": 0}, "step is a positive number"),
            ({"low": 1, "high": 4, "by": 2}, "got 'by'"),
            ({"low": "a", "high": 4}, "are numbers"),
            ({"low": 1.0, "high": 4.0, "log": True, "step": 0.5}, "exclude each other"),
        ],
    )
    def test_mistakes(self, data, message: str) -> None:
        with pytest.raises(UserError, match=message):
            dimension_from(data, "x")


class TestForgivingFactor:
    def test_the_equation(self) -> None:
        assert forgiving_factor(100, 100) == 1.0
        assert forgiving_factor(50, 100, tolerated_drop=0.02, rate=2) == pytest.approx(1.02)
        assert forgiving_factor(1600, 100, tolerated_drop=0.05, rate=4) == pytest.approx(1 - 0.05 * 2)
        assert forgiving_factor(50, 100, stress=0.5) == pytest.approx(1.0)
        assert math.isfinite(forgiving_factor(0, 100))
        with pytest.raises(UserError, match="positive reference"):
            forgiving_factor(1, 0)

    def test_values_of_a_trial(self) -> None:
        figures = Figures(0.5, 50, 1000, 2.5)
        assert Objective().values(figures, 100.0) == (pytest.approx(0.5 * 1.02),)
        assert Objective(mode="multi", cost="energy").values(figures, 100.0) == (0.5, 2.5)
        assert Objective(mode="multi", cost="bits").values(figures, 100.0) == (0.5, 1000.0)
        with pytest.raises(UserError, match="energy of this device"):
            replace(figures, energy_pj=None).cost("energy")
        with pytest.raises(UserError, match="luts, bits, energy, got 'area'"):
            Objective(cost="area")


class TestConfigure:
    def test_every_layer_has_its_own(self) -> None:
        config = space().configure(
            16,
            answers(
                **{
                    "hidden_layers.0": 24,
                    "hidden_layers.1": 8,
                    "layer_bitwidths.0": 1,
                    "layer_bitwidths.1": 3,
                    "layer_fanins.0": 4,
                    "layer_fanins.1": 2,
                    "layer_activations": "hard-tanh",
                }
            ),
        )
        model = config.model
        assert model.hidden_layers == (24, 8) and model.input_bitwidth == 4
        assert model.layer_bitwidths == (1, 3, 5), "the output layer's bits have a dimension of their own"
        assert model.layer_fanins == (4, 2, 8), "no more operands than inputs"

    def test_bits_are_those_that_the_quantiser_has(self) -> None:
        chosen = {"layer_activations.0": "binary", "layer_activations.1": "ternary", "layer_bitwidths": 3}
        model = space().configure(16, answers(**chosen)).model
        assert model.layer_activations == ("binary", "ternary") and model.layer_bitwidths == (1, 2, 5)
        layers = describe_layers(space().configure(16, answers(**chosen)))
        assert [layer["bits"] for layer in layers] == [1, 2, 5] and layers[-1]["neurons"] == "classes"

    def test_a_family_is_asked_for_what_it_reads_only(self) -> None:
        dimensions = {
            **DIMENSIONS,
            "family": ["linear", "additive"],
            "additive": {"smoothness": {"low": 1e-6, "high": 1e-3}},
            "train": {"cost_weight": {"low": 1e-6, "high": 1e-4}},
        }
        searched = space(space=dimensions)
        asked: list[str] = []

        def ask(family):
            def answer(name, dimension):
                asked.append(name)
                return family if name == "family" else dimension.ends[-1]

            return answer

        config = searched.configure(16, ask("additive"))
        assert config.model.additive.smoothness == 1e-3 and config.train.cost_weight == 1e-4
        assert not any(name.startswith("layer_") for name in asked)
        asked.clear()
        searched.configure(16, ask("linear"))
        assert "additive.smoothness" not in asked and "layer_fanins.output" in asked

    def test_options_of_a_family_that_some_layer_may_be(self) -> None:
        dimensions = {"polynomial": {"degree": [1, 2]}, "family": ["linear", "polynomial"]}
        asked: list[str] = []

        def ask(name, dimension):
            asked.append(name)
            return dimension.ends[0]

        space(space=dimensions).configure(16, ask)
        assert "polynomial.degree" not in asked
        config = space(space={**dimensions, "layer_families": ["polynomial", "linear"]}).configure(16, answers())
        assert config.model.polynomial.degree == 2 and config.model.family_name(0) == "linear"
        asked.clear()
        space(space={**dimensions, "layer_families": ["polynomial", "linear"]}).configure(16, ask)
        assert "polynomial.degree" in asked

    def test_learned_widths_share_the_budget_of_an_address(self) -> None:
        wide = {"input_fanin": 6, "hidden_fanin": 6, "output_fanin": 6, "max_address_bits": 8}
        found = space(
            model=wide, space={"input_bitwidth": [4, 5], "widths": {"granularity": ["none", "channel", "element"]}}
        )
        free = found.smallest(16).model
        assert free.widths.granularity != "none" and widest_address(free, 16) == 8
        with pytest.raises(UserError, match="nothing in the search space 't' fits"):
            space(model=wide, space={"input_bitwidth": [4, 5], "widths": {"granularity": ["none"]}}).smallest(16)

    def test_layers_that_add_have_no_address(self) -> None:
        model = space().configure(16, answers(layer_bitwidths=3, layer_activations="hard-tanh")).model
        assert widest_address(model, 16) == 96, "a fan-in of 32 operands of 3 bits"
        mixed = space(space={**DIMENSIONS, "layer_families": ["linear", "arithmetic"]})
        last = mixed.configure(16, answers(**{"layer_families.0": "linear", "layer_fanins.0": 2})).model
        assert widest_address(last, 16) == 8
        assert widest_address(mixed.configure(16, answers()).model, 16) == 0

    def test_features_may_have_bits_of_their_own(self) -> None:
        model = (
            space(space={"feature_bits": {"low": 1, "high": 6}}).configure(3, answers(**{"feature_bits.1": 2})).model
        )
        assert model.feature_bits == (6, 2, 6)
        assert widest_address(model, 3) == 14

    def test_the_narrowest_network(self) -> None:
        assert widest_address(space().smallest(16).model, 16) == 2
        with pytest.raises(UserError, match=r"nothing in the search space 't' fits.* 2 address bits, .* allows 1"):
            space(model={"max_address_bits": 1}).smallest(16)
        found = space(model={"max_address_bits": 2}, space={**DIMENSIONS, "layer_activations": ["ternary", "binary"]})
        assert found.smallest(16).model.layer_activations == ("binary",), (
            "a narrower quantiser is found, wherever it stands"
        )


POINT = {"n_hidden_layers": 1, "hidden_layers": [16], "layer_bitwidths": [2, 4], "layer_activations": ["ternary"]}


class TestStart:
    def test_names_of_layers(self) -> None:
        assert space(start=[POINT]).start_values(16) == [
            {
                "n_hidden_layers": 1,
                "hidden_layers.0": 16,
                "layer_bitwidths.0": 2,
                "output_bitwidth": 4,
                "layer_activations.0": "ternary",
            }
        ]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"hidden_layers": [17]}, "'hidden_layers.0' is 8 to 32, got 17"),
            ({"hidden_layers": [16, 16]}, "list of 1 values"),
            ({"layer_wirings": ["random"]}, "'layer_wirings' is not searched"),
            ({"layer_activations": ["unary"]}, "is one of hard-tanh, binary, ternary, got 'unary'"),
        ],
    )
    def test_values_outside(self, change, message: str) -> None:
        with pytest.raises(UserError, match=message):
            space(start=[{**POINT, **change}]).start_values(16)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"space": {}}, "nothing to search"),
        ({"spaces": {}}, "unknown key 'spaces'; did you mean 'space'"),
        ({"space": {"layer_fanin": [2]}}, "did you mean 'layer_fanins'"),
        ({"space": {"train.learning_rate": ["fast"]}}, "'learning_rate' is a value like 0.001"),
        ({"space": {"hidden_layers": [0]}}, "at least 1, got 0"),
        (
            {"space": {"layer_families": ["trees"]}},
            "'layer_families' has values out of adder, arithmetic, assemble, linear",
        ),
        ({"space": {"input_codes": ["gray"]}}, "model.input_codes is one of"),
        ({"base": "jsc-xs"}, "no known configuration"),
        ({"objective": {"costs": "luts"}}, "did you mean 'cost'"),
        ({"objective": {"cost": 3}}, "'cost' is a value like 'luts'"),
        ({"objective": {"rate": 1}}, "a rate above 1"),
        ({"rows": -1}, "whole numbers"),
        ({"start": {}}, r"begun with \[\[start\]\]"),
        (
            {"model": {"layer_fanins": [3, 3, 3, 3, 3]}, "space": {"n_hidden_layers": [1], "hidden_layers": [4]}},
            "model.layer_fanins cannot have a fixed length",
        ),
        ({"space": {"n_hidden_layers": [1, 2]}}, "model.hidden_layers cannot have a fixed length; search it too"),
    ],
)
def test_mistakes_in_a_file(data, message: str) -> None:
    with pytest.raises(UserError, match=message):
        space_from_dict({"space": DIMENSIONS, **data}, where="f.toml")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("[model]\nseed = 7\n")
    path = tmp_path / "mine.toml"
    path.write_text('base = "base.toml"\nrows = 5\n[train]\nepochs = 3\n[space]\ninput_bitwidth = [1, 2]\n')
    found = load_space(path)
    assert (found.name, found.base.model.seed, found.base.train.epochs, found.rows) == ("mine", 7, 3, 5)
    with pytest.raises(UserError, match="no built-in search space; known are jets"):
        find_space("jet")
    with pytest.raises(UserError, match="cannot read"):
        find_space(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("name", SPACES)
def test_built_in_spaces_are_sound(name: str) -> None:
    found = find_space(name)
    assert found.name == name and widest_address(found.smallest(16).model, 16) <= found.base.model.max_address_bits
    for values in found.start_values(16):
        config = found.configure(16, lambda key, dimension, values=values: values.get(key, dimension.ends[0]))
        assert widest_address(config.model, 16) <= config.model.max_address_bits


def test_another_cost_forgets_the_reference() -> None:
    found = find_space("jets")
    assert found.with_objective(cost="bits").objective.reference_cost == 0
    assert found.with_objective(mode="multi").objective == replace(found.objective, mode="multi")
