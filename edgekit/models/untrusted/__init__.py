"""Untrusted: Keras files of others, read as data and written anew before any Keras sees them.

Keras is never given what the author wrote: a configuration becomes a normalised one of what is on an
allow-list, or is refused by name; weights are checked where they lie. It takes the standard library and
h5py alone, so that it can run where TensorFlow is not.
"""

from edgekit.models.untrusted.code import trusted_parts
from edgekit.models.untrusted.container import KerasFile, kind_of
from edgekit.models.untrusted.names import Known, Names
from edgekit.models.untrusted.normal import normalised
from edgekit.models.untrusted.refusals import StrangerError

__all__ = ["KerasFile", "Known", "Names", "StrangerError", "kind_of", "normalised", "trusted_parts"]
