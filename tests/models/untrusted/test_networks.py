"""Keras' own networks (keras.applications) are accepted without trust: one of each family, without weights."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from edgekit.errors import require
from edgekit.models import loading
from edgekit.models.untrusted import normalised

# By module, the smallest network; those of resnet serve its like.
FAMILIES = {
    "convnext": "ConvNeXtTiny",
    "densenet": "DenseNet121",
    "efficientnet": "EfficientNetB0",
    "efficientnet_v2": "EfficientNetV2B0",
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3": "MobileNetV3Small",
    "nasnet": "NASNetMobile",
    "resnet": "ResNet50",
    "resnet_v2": "ResNet50V2",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "xception": "Xception",
}
# What only tf_keras has. Its networks' layers are those of the list above otherwise.
OLD_FAMILIES = {"regnet": "RegNetX002", "resnet_rs": "ResNetRS50", "convnext": "ConvNeXtTiny"}


def families(keras: Any) -> set[str]:
    found = vars(keras.applications).values()
    return {each.__module__.split(".")[-1] for each in found if inspect.isfunction(each)}


def accepted(keras: Any, flavour: str, model: Any) -> Any:
    """The model that Keras makes of its own configuration, which went through the normaliser."""
    loading._prepared(flavour)
    config = {"class_name": type(model).__name__, **json.loads(model.to_json())}
    written = normalised(config, loading._names(flavour), flavour)
    return keras.models.model_from_json(json.dumps(written))


def test_there_are_no_other_families() -> None:
    keras, tf_keras = (require(name, "export", "a test") for name in ("keras", "tf_keras"))
    assert families(keras) == set(FAMILIES)
    assert families(tf_keras) == set(FAMILIES) | set(OLD_FAMILIES)


@pytest.mark.parametrize("name", FAMILIES.values())
def test_networks_of_keras(name: str) -> None:
    keras = require("keras", "export", "a test")
    # No variable gets a value here.
    with keras.StatelessScope():
        model = getattr(keras.applications, name)(weights=None, classes=3)
        again = accepted(keras, "keras", model)
        assert [type(each) for each in again.layers] == [type(each) for each in model.layers]
        shapes = [each.shape for each in model.weights]
        assert [each.shape for each in again.weights] == shapes
    assert model.to_json() == again.to_json()


@pytest.mark.slow
@pytest.mark.parametrize("name", OLD_FAMILIES.values())
def test_networks_of_tf_keras(name: str) -> None:
    tf_keras = require("tf_keras", "export", "a test")
    model = getattr(tf_keras.applications, name)(weights=None, classes=3)
    again = accepted(tf_keras, "tf_keras", model)
    assert [type(each) for each in again.layers] == [type(each) for each in model.layers]
    assert [each.shape for each in again.weights] == [each.shape for each in model.weights]
