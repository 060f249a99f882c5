"""edgekit itself as a wheel, made of the files that run: what a board gets is what is here."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import edgekit
from edgekit.device import devices_folder
from edgekit.errors import DISTRIBUTION, BoardError

_STAMP = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: edgekit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def own_wheel() -> tuple[str, bytes]:
    """The wheel's name and content; the same files give the same bytes.

    The format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/

    Raises:
        BoardError: edgekit is not installed, only found: nothing says what it needs.
    """
    try:
        about = metadata.distribution(DISTRIBUTION).read_text("METADATA")
    except metadata.PackageNotFoundError:
        about = None
    if about is None:
        raise BoardError(
            f"{DISTRIBUTION} is not installed here, only found on the path, and cannot be sent to a board. "
            "Install it: pip install -e ."
        )
    name = f"{DISTRIBUTION.replace('-', '_')}-{edgekit.__version__}"
    rows, buffer = [], io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        files = [
            *_package(),
            (f"{name}.dist-info/METADATA", about.encode()),
            (f"{name}.dist-info/WHEEL", _WHEEL.encode()),
        ]
        for path, content in files:
            archive.writestr(zipfile.ZipInfo(path, _STAMP), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            rows.append(f"{path},sha256={digest.decode()},{len(content)}\n")
        record = f"{name}.dist-info/RECORD"
        archive.writestr(zipfile.ZipInfo(record, _STAMP), "".join(rows) + f"{record},,\n")
    return f"{name}-py3-none-any.whl", buffer.getvalue()


def _package() -> Iterator[tuple[str, bytes]]:
    """The package's files by their path in a wheel, and the device profiles."""
    root = Path(edgekit.__file__).parent
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_file() and "__pycache__" not in inside.parts and inside.parts[0] != "_devices":
            yield f"edgekit/{inside.as_posix()}", path.read_bytes()
    for path in sorted(devices_folder().glob("*.toml")):
        yield f"edgekit/_devices/{path.name}", path.read_bytes()
