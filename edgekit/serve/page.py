"""Page: what a person sees at ``/``, and what it needs to know of a model to show it an image or a sound."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from edgekit.preprocess.audio import FixedLength, LogMel, Mfcc
from edgekit.preprocess.images import CenterCrop, Letterbox, Resize

if TYPE_CHECKING:
    from edgekit.runtime.runner import Runner

_CHANNELS = (1, 3, 4)
_SHAPED = (Resize, Letterbox, CenterCrop)


def page() -> tuple[bytes, Mapping[str, str]]:
    """The page, whole in itself, and its headers: it runs its own script alone, and asks this server alone."""
    html = resources.files("edgekit.serve").joinpath("page.html").read_bytes()
    (script,) = re.findall(rb"<script>(.*?)</script>", html, re.DOTALL)
    own = base64.b64encode(hashlib.sha256(script).digest()).decode()
    rules = (
        "default-src 'none'",
        f"script-src 'sha256-{own}'",
        "style-src 'unsafe-inline'",
        "img-src blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return html, {
        "Content-Security-Policy": "; ".join(rules),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def takes(runner: Runner) -> dict[str, Any]:
    """What one raw sample of a model is, for its metadata.

    Returns:
        ``takes``: ``"image"``, ``"sound"`` or ``"numbers"``. Of an image its ``channels``, and its ``height`` and
        ``width`` where the stored steps take no other. Of a sound its ``sample_rate`` where they say one.
        ``preprocess``: whether steps are stored, which are to be asked for. ``classes``: whether they have names.
    """
    found: dict[str, Any] = {"takes": "numbers", "preprocess": False}
    found["classes"] = bool(runner.metadata.class_names)
    if len(runner.inputs) != 1:
        return found
    (spec,) = runner.inputs
    stored = runner.metadata.for_inputs([spec.name]).preprocessing.get(spec.name)
    steps = () if stored is None else stored.steps
    found["preprocess"] = bool(steps)
    if any(isinstance(step, (FixedLength, LogMel, Mfcc)) for step in steps):
        rates = [step.sample_rate for step in steps if isinstance(step, LogMel)]
        return {**found, "takes": "sound", **({"sample_rate": rates[0]} if rates else {})}
    if len(spec.shape) == 4 and spec.shape[3] in _CHANNELS:
        found |= {"takes": "image", "channels": spec.shape[3]}
        height, width = spec.shape[1:3]
        if height and width and not any(isinstance(step, _SHAPED) for step in steps):
            found |= {"height": height, "width": width}
    return found
