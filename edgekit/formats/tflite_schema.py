"""The numbers of TensorFlow Lite's ``schema.fbs``: fields, types and operators. They stand nowhere else.

A class holds the fields of the table of its name, counted from 0; they keep the schema's names.
"""

from __future__ import annotations

# What stands at byte 4 of every file.
IDENTIFIER = b"TFL3"


class Model:
    (
        VERSION,
        OPERATOR_CODES,
        SUBGRAPHS,
        DESCRIPTION,
        BUFFERS,
        METADATA_BUFFER,
        METADATA,
        SIGNATURE_DEFS,
        EXTERNAL_BUFFER_GROUPS,
        EXTERNAL_BUFFERS,
    ) = range(10)


class OperatorCode:
    # Old converters wrote the first alone, of 8 bits; new ones write 127 there for more.
    DEPRECATED_BUILTIN_CODE, CUSTOM_CODE, VERSION, BUILTIN_CODE = range(4)


class SubGraph:
    TENSORS, INPUTS, OUTPUTS, OPERATORS, NAME, DEBUG_METADATA_INDEX = range(6)


class Tensor:
    (
        SHAPE,
        TYPE,
        BUFFER,
        NAME,
        QUANTIZATION,
        IS_VARIABLE,
        SPARSITY,
        SHAPE_SIGNATURE,
        HAS_RANK,
        VARIANT_TENSORS,
        EXTERNAL_BUFFER,
    ) = range(11)


class QuantizationParameters:
    MIN, MAX, SCALE, ZERO_POINT, DETAILS_TYPE, DETAILS, QUANTIZED_DIMENSION = range(7)


class SparsityParameters:
    TRAVERSAL_ORDER, BLOCK_MAP, DIM_METADATA = range(3)


class DimensionMetadata:
    (
        FORMAT,
        DENSE_SIZE,
        ARRAY_SEGMENTS_TYPE,
        ARRAY_SEGMENTS,
        ARRAY_INDICES_TYPE,
        ARRAY_INDICES,
    ) = range(6)


class VariantSubType:
    SHAPE, TYPE, HAS_RANK = range(3)


class Operator:
    (
        OPCODE_INDEX,
        INPUTS,
        OUTPUTS,
        BUILTIN_OPTIONS_TYPE,
        BUILTIN_OPTIONS,
        CUSTOM_OPTIONS,
        CUSTOM_OPTIONS_FORMAT,
        MUTATING_VARIABLE_INPUTS,
        INTERMEDIATES,
        LARGE_CUSTOM_OPTIONS_OFFSET,
        LARGE_CUSTOM_OPTIONS_SIZE,
        BUILTIN_OPTIONS_2_TYPE,
        BUILTIN_OPTIONS_2,
        DEBUG_METADATA_INDEX,
    ) = range(14)


class Buffer:
    # The last two of data that lie behind the FlatBuffer; 0 and 1 in them mean nothing.
    DATA, OFFSET, SIZE = range(3)


class Metadata:
    NAME, BUFFER = range(2)


class SignatureDef:
    INPUTS, OUTPUTS, SIGNATURE_KEY = range(3)
    SUBGRAPH_INDEX = 4


class TensorMap:
    NAME, TENSOR_INDEX = range(2)


class ExternalBufferGroup:
    NAME = 0


class ExternalBuffer:
    ID, GROUP, OFFSET, LENGTH, PACKING = range(5)


class Conv2DOptions:
    # The first three of DepthwiseConv2DOptions as well, the first four of TransposeConvOptions.
    PADDING, STRIDE_W, STRIDE_H, FUSED_ACTIVATION_FUNCTION = range(4)
    DILATION_W_FACTOR, DILATION_H_FACTOR = 4, 5


class DepthwiseConv2DOptions:
    PADDING, STRIDE_W, STRIDE_H, DEPTH_MULTIPLIER, FUSED_ACTIVATION_FUNCTION = range(5)
    DILATION_W_FACTOR, DILATION_H_FACTOR = 5, 6


class FullyConnectedOptions:
    FUSED_ACTIVATION_FUNCTION = 0


class BatchMatMulOptions:
    ADJ_X, ADJ_Y = range(2)


class CallOnceOptions:
    INIT_SUBGRAPH_INDEX = 0


class WhileOptions:
    COND_SUBGRAPH_INDEX, BODY_SUBGRAPH_INDEX = range(2)


class Padding:
    SAME, VALID = range(2)


class ActivationFunctionType:
    NONE, RELU, RELU_N1_TO_1, RELU6, TANH, SIGN_BIT = range(6)


class QuantizationDetails:
    CUSTOM_QUANTIZATION, BLOCKWISE_QUANTIZATION, MULTI_AXIS_QUANTIZATION = range(1, 4)


# For each type of a union, {field: bytes an element} of the vectors and strings in its table; the types
# that are not listed hold numbers alone.
VECTORS_OF_OPTIONS: dict[int, dict[int, int]] = {
    3: {1: 4, 2: 4},  # ConcatEmbeddingsOptions
    8: {5: 1},  # FullyConnectedOptions
    17: {0: 4},  # ReshapeOptions
    30: {0: 4},  # SqueezeOptions
    111: {0: 1, 1: 1},  # VarHandleOptions
    115: {0: 4},  # BucketizeOptions
}
VECTORS_OF_OPTIONS_2: dict[int, dict[int, int]] = {
    2: {0: 8},  # StablehloBroadcastInDimOptions
    3: {0: 8, 1: 8, 2: 8},  # StablehloSliceOptions
    4: {0: 8, 1: 8, 2: 8, 3: 8, 4: 1, 7: 8, 10: 8, 13: 8, 16: 4},  # StablehloConvolutionOptions
    5: {0: 1, 2: 1, 4: 4, 5: 1},  # StablehloCustomCallOptions
    6: {0: 8},  # StablehloReduceOptions
    7: {1: 8, 2: 8, 3: 8},  # StablehloScatterOptions
    9: {0: 8},  # StablehloDynamicSliceOptions
    10: {0: 8, 1: 8, 2: 8},  # StablehloPadOptions
    12: {0: 8, 1: 8, 2: 8, 3: 8, 4: 4},  # StablehloDotGeneralOptions
    13: {0: 8, 1: 8, 2: 8, 3: 8, 4: 8},  # StablehloReduceWindowOptions
    16: {0: 8, 1: 8, 2: 8, 4: 8},  # StablehloGatherOptions
    17: {0: 8},  # StablehloTransposeOptions
    21: {0: 1, 2: 1},  # StableHLOCompositeOptions
    23: {0: 4},  # StablehloCaseOptions
}
VECTORS_OF_DETAILS: dict[int, dict[int, int]] = {
    QuantizationDetails.CUSTOM_QUANTIZATION: {0: 1},
    QuantizationDetails.BLOCKWISE_QUANTIZATION: {3: 4},
    QuantizationDetails.MULTI_AXIS_QUANTIZATION: {3: 4},
}
VECTORS_OF_SPARSE_INDICES: dict[int, dict[int, int]] = {
    1: {0: 4},  # Int32Vector
    2: {0: 2},  # Uint16Vector
    3: {0: 1},  # Uint8Vector
}

# TensorType, by code, as edgekit calls them.
TYPES = (
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
    "bfloat16",
    "int2",
    "uint4",
    "float8e4m3",
    "float8e5m2",
)

# BuiltinOperator, by code.
_OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL
CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST
PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG
REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL
BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER
STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT
STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR
REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
OPERATORS = tuple(_OPERATORS.split())


def type_name(code: int) -> str:
    """A tensor's type; ``"type 99"`` for one of a newer schema."""
    return TYPES[code] if 0 <= code < len(TYPES) else f"type {code}"


def operator_name(code: int) -> str:
    """An operator that is not custom; ``"operator 999"`` for one of a newer schema."""
    return OPERATORS[code] if 0 <= code < len(OPERATORS) else f"operator {code}"
