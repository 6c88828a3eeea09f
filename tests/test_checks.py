from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from emnist.checks import STRICT, Count, OddCount, Probability, Seed, construct, directory, validate
from emnist.errors import UserError


class Layer:
    def __init__(
        self,
        width: int,
        neurons: Count,
        dropout: Probability | list[Probability] = 0.0,
        kernel_sizes: tuple | list[OddCount] = (),
        bias: bool = True,
    ):
        if neurons > 99:
            raise ValueError(f"neurons={neurons} and width={width} don't fit")
        self.arguments = (width, neurons, dropout, kernel_sizes, bias)


def test_valid_arguments_are_passed_on():
    layer = construct("model", Layer, 5, neurons=3, dropout=[0.1, 0], kernel_sizes=[3, 5])
    assert layer.arguments == (5, 3, [0.1, 0], [3, 5], True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"neurons": 0}, "model.neurons=0: must be greater than or equal to 1"),
        ({"neurons": "many"}, "model.neurons=many: must be a valid integer"),
        ({"neurons": True}, "model.neurons=True: must be a valid integer"),
        ({"neurons": 1.5}, "model.neurons=1.5: must be a valid integer"),
        ({}, "model.neurons is missing"),
        ({"neurons": 1, "width": 2}, "model.width: no such key; the keys are neurons, dropout, kernel_sizes, bias"),
        ({"neurons": 1, "bias": "off"}, "model.bias=off: must be a valid boolean"),
        ({"neurons": 1, "dropout": 1}, "model.dropout=1: must be less than 1"),
        ({"neurons": 1, "dropout": float("nan")}, "model.dropout=nan: must be a finite number"),
        ({"neurons": 1, "dropout": [0.1, 2]}, "model.dropout[1]=2: must be less than 1"),
        ({"neurons": 1, "dropout": "x"}, "model.dropout=x: must be a valid number or must be a valid list"),
        ({"neurons": 1, "kernel_sizes": [3, 4]}, "model.kernel_sizes[1]=4: must be odd, such as 3 or 5"),
        ({"neurons": 100}, "model.neurons=100 and width=5 don't fit"),
    ],
)
def test_an_invalid_argument_is_named_with_its_value(arguments, message):
    with pytest.raises(UserError) as raised:
        construct("model", Layer, 5, **arguments)
    assert str(raised.value) == message


class Inner(BaseModel):
    model_config = STRICT

    rate: Annotated[float, Field(ge=0)]


class Outer(BaseModel):
    model_config = STRICT

    seed: Seed
    inner: Inner


def test_a_nested_key_is_named_in_full():
    with pytest.raises(UserError, match=r"^inner\.rate=-1: must be greater than or equal to 0$"):
        validate(Outer, {"seed": 0, "inner": {"rate": -1}})
    with pytest.raises(UserError, match=r"^study\.inner\.rate is missing$"):
        validate(Outer, {"seed": 0, "inner": {}}, "study.")
    assert validate(Outer, {"seed": 0, "inner": {"rate": 1}}).inner.rate == 1


def test_a_folder_need_not_exist_but_must_not_be_a_file(tmp_path):
    assert directory("data.root", str(tmp_path / "new")) == tmp_path / "new"
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="data.root=.*file: not a folder"):
        directory("data.root", str(tmp_path / "file"))
    with pytest.raises(UserError, match="data.root is empty"):
        directory("data.root", "")
