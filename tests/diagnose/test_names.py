"""Names: which Keras layer a tensor of a converted file comes of."""

from __future__ import annotations

import pytest

from edgekit.diagnose.names import layer_name


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("functional_1/conv2d_1_2/convolution1", "conv2d_1_2"),
        ("functional_1/add_1/Add", "add_1"),
        ("functional_1/re_lu_1/Relu;functional_1/conv/convolution", "re_lu_1"),
        ("model/conv2d/Conv2D", "conv2d"),
        ("conv/t7_", "conv"),
        ("dense_1/BiasAdd", "dense_1"),
        ("StatefulPartitionedCall_1:0", ""),
        ("Identity:0", ""),
    ],
)
def test_the_layer_is_read_from_the_tensor(tensor: str, layer: str) -> None:
    assert layer_name(tensor) == layer


def test_known_layers_decide() -> None:
    layers = ["batch_normalization", "conv2d"]
    assert layer_name("m/re_lu/Relu;m/batch_normalization_1/add;m/conv2d/Conv2D", layers) == (
        "batch_normalization"
    )
    assert layer_name("m/other/Relu", layers) == ""
