"""Models: the model files of a bundle as `edgekit.load` takes them, opened in memory where they are sealed."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from edgekit.artifact import IDENTITY_VARIABLE, HeldArtifact
from edgekit.bundle.contents import MODEL, Bundle, BundledFile, Seal
from edgekit.bundle.identity import EXTRA, IdentityLike, identities, is_given
from edgekit.errors import ArtifactError, BundleError, UsageError, require


class Models:
    """The model files of a verified bundle.

    Args:
        folder: where the bundle lies unpacked.
        contents: what it says of itself.
        path: what it is called.
        identity: what opens it where it is sealed, as `edgekit.bundle.identity.identities` takes it.

    Attributes:
        files: of the bundle, by the path of the model file that each is, or is once it is opened.

    Raises:
        UsageError: it is sealed and there is no identity, or an identity was given for one that is not.
    """

    def __init__(
        self,
        folder: Path,
        contents: Bundle,
        path: str | os.PathLike[str],
        identity: IdentityLike = None,
    ) -> None:
        self.files: dict[str, BundledFile] = {file.model: file for file in contents.of_role(MODEL)}
        self._folder, self._path, self._identity = folder, path, identity
        if contents.is_sealed and not is_given(identity):
            raise UsageError(
                f"{path}: is sealed. Name the file that holds the identity it was sealed to: --identity (in Python "
                f"identity=); or put the identity into {IDENTITY_VARIABLE}."
            )
        # Else a file that somebody put in the place of a sealed one would be taken.
        if not contents.is_sealed and identity is not None:
            raise UsageError(
                f"{path}: is not sealed, and an identity was given. Leave it out if that is as it should be."
            )

    def source(self, name: str) -> Path | HeldArtifact:
        """What `edgekit.load` takes for a model file.

        Raises:
            UsageError: the identity is none, or opens another bundle.
            BundleError: a sealed file was changed, or holds another file than it is to.
            ArtifactError: it keeps weights in other files.
            MissingDependencyError: the library is not installed.
        """
        file = self.files[name]
        if file.seal is None:
            return self._folder / file.path
        content = self._opened(file)
        self._check(file, file.seal, content)
        artifact = HeldArtifact.holding(os.fspath(Path(self._path) / name), content)
        if artifact.format == "onnx":
            _check_alone(artifact)
        return artifact

    @cached_property
    def _keys(self) -> list[Any]:
        return identities(self._identity)

    def _opened(self, file: BundledFile) -> bytes:
        pyrage = require("pyrage", EXTRA, "Opening a sealed bundle")
        sealed = (self._folder / file.path).read_bytes()
        keys = self._keys
        try:
            content: bytes = pyrage.decrypt(sealed, keys)
        except pyrage.DecryptError as error:
            if "No matching keys" in str(error):
                raise UsageError(
                    f"{self._path}: {file.path} was not sealed to this identity, or its header was changed. Give "
                    "the one whose recipient it was sealed to."
                ) from None
            raise BundleError(
                f"{self._path}: {file.path} cannot be opened: {str(error).rstrip('.')}. It is no whole file that was "
                "sealed: get the bundle anew."
            ) from None
        return content

    def _check(self, file: BundledFile, seal: Seal, content: bytes) -> None:
        """Refuse what another file should hold.

        That the sealed file is the one that the list names was verified by its hash. What it holds is hashed once
        more only where its size says too little: that takes longer than opening it.
        """
        seals = [each.seal for each in self.files.values() if each.seal]
        alike = sum(each.size_bytes == len(content) for each in seals)
        if len(content) == seal.size_bytes and alike == 1:
            return
        found = hashlib.sha256(content).hexdigest()
        if found == seal.sha256:
            return
        others = {each.sha256: each.path for each in seals}
        what = others.get(found, "a file that the bundle does not know")
        raise BundleError(
            f"{self._path}: {file.path} holds {what}, expected {seal.path}. Get the bundle anew."
        )


def _check_alone(artifact: HeldArtifact) -> None:
    from edgekit.formats.onnx_external import external_names

    try:
        names = external_names(artifact.content)
    # Then onnxruntime says what is wrong with the file.
    except ArtifactError:
        return
    if names:
        # They would be looked for in the current folder.
        raise ArtifactError(
            f"{artifact.file}: keeps weights in {', '.join(names)}, expected all of them inside, for a sealed file "
            "lies in no folder."
        )
