"""Materials: a CycloneDX bill of materials of a bundle's models, by its own library."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from edgekit.bundle.contents import MODEL, BundledFile
from edgekit.errors import require
from edgekit.manifest import Manifest

# Serials are made from hashes below this name, so that the same files have the same serial.
_SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "edgekit.bundle")
_PURPOSE = "A bill of materials"


def bill_of_materials(
    name: str, manifest: Manifest, files: Sequence[BundledFile], licence: str | None
) -> bytes:
    """The models, the original that they were made from, and the packages that made them, as CycloneDX JSON 1.6.

    The same files give the same bytes: the serial is made from their hashes, and there is no time in it.

    Args:
        name: of the model.
        licence: its SPDX identifier, or None.

    Raises:
        MissingDependencyError: the library is not installed.
    """
    bom_module = require("cyclonedx.model.bom", "bundle", _PURPOSE)
    component = require("cyclonedx.model.component", "bundle", _PURPOSE)
    output = require("cyclonedx.output", "bundle", _PURPOSE)
    schema = require("cyclonedx.schema", "bundle", _PURPOSE)
    model = require("cyclonedx.model", "bundle", _PURPOSE)
    kinds = component.ComponentType
    recipes = {file.artifact.name: file for file in manifest.files}

    def hashes(sha256: str) -> list[Any]:
        return [model.HashType(alg=model.HashAlgorithm.SHA_256, content=sha256)]

    def properties(**known: object) -> list[Any]:
        return [
            model.Property(name=f"edgekit:{key}", value=str(value)) for key, value in known.items()
        ]

    models = [file for file in files if file.role == MODEL]
    root = component.Component(
        name=name,
        type=kinds.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{manifest.source.sha256}",
        hashes=hashes(manifest.source.sha256),
        licenses=_licences(licence),
        properties=properties(format=manifest.source.format, flavour=manifest.source.flavour),
    )
    made = [
        component.Component(
            name=file.path,
            type=kinds.MACHINE_LEARNING_MODEL,
            bom_ref=f"file:{file.sha256}",
            hashes=hashes(file.sha256),
            properties=properties(
                size_bytes=file.size_bytes,
                scheme=recipes[file.path].artifact.scheme if file.path in recipes else "unknown",
            ),
        )
        for file in models
    ]
    packages = [
        component.Component(
            name=package, type=kinds.LIBRARY, version=version, bom_ref=f"pypi:{package}@{version}"
        )
        for package, version in sorted(manifest.versions.items())
    ]
    serial = uuid.uuid5(
        _SPACE, "".join(sorted(file.sha256 for file in models)) + manifest.source.sha256
    )
    bom = bom_module.Bom(components=[*made, *packages], serial_number=serial)
    bom.metadata.component = root
    bom.metadata.timestamp = None
    bom.register_dependency(root, [*made, *packages])
    writer = output.make_outputter(bom, schema.OutputFormat.JSON, schema.SchemaVersion.V1_6)
    text: str = writer.output_as_string(indent=2)
    return text.encode() + b"\n"


def _licences(licence: str | None) -> list[Any]:
    if licence is None:
        return []
    factory = require("cyclonedx.factory.license", "bundle", _PURPOSE)
    return [factory.LicenseFactory().make_from_string(licence)]
