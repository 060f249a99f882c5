"""The numbers of TensorFlow's ``saved_model.proto`` and what it includes. They stand nowhere else.

A class holds the fields of the message of its name that edgekit reads, by the schema's names.
"""

from __future__ import annotations


class SavedModel:
    META_GRAPHS = 2


class MetaGraphDef:
    GRAPH_DEF, SAVER_DEF, COLLECTION_DEF, SIGNATURE_DEF, ASSET_FILE_DEF = 2, 3, 4, 5, 6
    OBJECT_GRAPH_DEF = 7


class GraphDef:
    NODE, LIBRARY = 1, 2


class FunctionDefLibrary:
    FUNCTION = 1


class FunctionDef:
    SIGNATURE, NODE_DEF = 1, 3


class OpDef:
    NAME, INPUT_ARG = 1, 2


class ArgDef:
    NAME = 1


class NodeDef:
    NAME, OP, INPUT, ATTR = 1, 2, 3, 5


class MapEntry:
    KEY, VALUE = 1, 2


class AttrValue:
    # The second is s in the schema.
    LIST, TEXT, TENSOR, FUNC = 1, 2, 8, 10


class ListValue:
    FUNC = 9


class NameAttrList:
    NAME, ATTR = 1, 2


class TensorShapeProto:
    DIM = 2


class Dim:
    SIZE = 1


class TensorProto:
    TENSOR_SHAPE = 2
    STRING_VAL, RESOURCE_HANDLE_VAL, VARIANT_VAL = 8, 14, 15


class SaverDef:
    FILENAME_TENSOR_NAME = 1


class AssetFileDef:
    TENSOR_INFO, FILENAME = 1, 2


class SavedObjectGraph:
    NODES, CONCRETE_FUNCTIONS = 1, 2


class SavedConcreteFunction:
    BOUND_INPUTS = 2


class SavedObject:
    ASSET = 5
    # A user's object, function, variable, bare function, constant, resource, captured tensor.
    OTHER_KINDS = (4, 6, 7, 8, 9, 10, 12)


class ConfigProto:
    # Counts of devices and threads, placement, logging, options of devices, experiments. Of the rest, some
    # name other machines.
    OF_THIS_MACHINE = frozenset({1, 2, 5, 6, 7, 8, 9, 16, 18})
