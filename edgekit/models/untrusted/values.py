"""Values: what an argument may be, by its name, as long as it is plain data."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from edgekit.models.untrusted import refusals

# Sizes, axes and counts lie far below; what is beyond overflows somewhere.
MAX_WHOLE = 2**31 - 1
# How often an upsampling repeats each value: tf_keras makes a tensor of each.
_MAX_FACTOR = 4096
_MAX_SEED = 2**64
_MAX_TEXT = 4096

# Kinds of arguments. Those that hold objects are `normal`'s matter.
FUNCTION, LAYER, LAYERS, CELL, POLICY = "function", "layer", "layers", "cell", "policy"
INITIALIZER, REGULARIZER, CONSTRAINT = "initializers", "regularizers", "constraints"
ANY, SEED, SPLITTER, OBJECT = "any", "seed", "splitter", "object"
SYMBOL, ATTRIBUTE, CARRIED, ARGUMENTS = "symbol", "attribute", "carried", "arguments"
FLAG, WHOLE, NUMBER, TEXT, NAME = "flag", "whole", "number", "text", "name"
SIZES, FACTORS, PLAIN = "sizes", "factors", "plain"
VOCABULARY, NOTHING = "vocabulary", "nothing"

_WORDS = {
    FLAG: """
        trainable autocast dynamic use_bias center renorm fused synchronized stateful go_backwards
        return_sequences return_state return_runtime unit_forget_bias reset_after time_major
        zero_output_for_mask mask_zero keepdims invert sparse ragged pad_to_max_tokens
        crop_to_aspect_ratio pad_to_aspect_ratio antialias use_scale use_gate normalize robust_masking
        softmax_robust_masking force_generator enable_caching_device has_input_vocabulary has_static_table
        use_one_hot_matmul reverse_state_order variational_recurrent causal unconditional per_channel
        symmetric expand_dims periodic power_to_db tie_weights rms_scaling all_ops optional
        flash_attention unroll
    """,
    WHOLE: """
        units filters groups depth_multiplier n num_heads num_query_heads num_key_value_heads key_dim
        value_dim head_dim num_bins num_tokens max_tokens num_oov_indices output_sequence_length
        output_dim input_length batch_size height width rank lora_rank power_iterations
        implementation num_constants virtual_batch_size bins chain_depth num_chains num_ops max_number
        num_mel_bins fft_length frame_length frame_step sequence_length sequence_stride sampling_rate
        sliding_window projection_dim input_size amax_history_length vocabulary_size
        gptq_unpacked_column_size
    """,
    NUMBER: """
        momentum epsilon rate dropout recurrent_dropout stddev negative_slope threshold max_value theta
        l1 l2 renorm_momentum lora_alpha clip_limit drop_path_rate logit_soft_cap mag_exp
        max_freq min_freq min_power top_db ref_power input_keep_prob output_keep_prob
        state_keep_prob init_values
    """,
    TEXT: """
        data_format interpolation fill_mode output_mode merge_mode score_mode equation bias_axes encoding
        oov_method rng_type pool_mode scaling bounding_box_format aggregation metric_name vocabulary_dtype
        mode source_name
    """,
    NAME: "name",
    SIZES: """
        kernel_size strides dilation_rate pool_size dims target_shape cropping output_padding
        output_size shared_axes axes attention_axes batch_shape shape input_axes output_axes
        tile_grid_size
    """,
    FACTORS: "size",
    POLICY: "dtype reverse_dtype default_policy output_dtype",
    FUNCTION: "activation recurrent_activation",
    LAYER: "layer backward_layer",
    LAYERS: "layers cells",
    CELL: "cell",
    OBJECT: "quantize_config quantizer pruning_schedule quantization_config weight_quantizer "
    "activation_quantizer",
    ANY: "policy_map",
    SEED: "seed",
    SPLITTER: "standardize split",
    SYMBOL: "function",
    ATTRIBUTE: "attr_name",
    VOCABULARY: "vocabulary idf_weights merges proto",
    NOTHING: """
        weights input_tensor type_spec partitioner conv_op adjustment pool_function dataset tokenizer
        residual_fn residual_fn_type residual_fn_module dropout_fn dropout_fn_type dropout_fn_module
        dropout_state_filter_visitor filepath
    """,
}
_KINDS = {name: kind for kind, names in _WORDS.items() for name in names.split()}
_ENDINGS = {"_initializer": INITIALIZER, "_regularizer": REGULARIZER, "_constraint": CONSTRAINT}


@lru_cache(maxsize=4096)
def kind_of(argument: str) -> str:
    """What an argument of this name is; the names mean the same throughout Keras."""
    kind = _KINDS.get(argument)
    if kind is None:
        kind = next((k for end, k in _ENDINGS.items() if argument.endswith(end)), PLAIN)
    return kind


def typed(owner: str, argument: str, kind: str, value: Any) -> Any:
    """`value` of a kind without objects, as it was received.

    Raises:
        StrangerError: it is of another type, or beyond all sizes.
    """
    if value is None:
        return None
    fits, expected = _CHECKS[kind]
    if not fits(value):
        raise refusals.wrong(owner, argument, value, expected)
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def _are_sizes(value: Any, most: int = MAX_WHOLE) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            if "class_name" in item:
                return False
            waiting.extend(item.values())
        elif isinstance(item, str):
            # Axes by name, as DTypePolicyMap and TensorFlow.js have them, or "same".
            if len(item) > _MAX_TEXT:
                return False
        elif item is not None and not (isinstance(item, (int, float)) and abs(item) <= most):
            return False
    return True


def _is_name(value: Any) -> bool:
    # Keras looks for the assets of layers by their names.
    return _is_text(value) and value[:1] != "/" and ".." not in value.split("/")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_WHOLE


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or _is_whole(value)


def _is_flag(value: Any) -> bool:
    # Old files write flags as 0 and 1; "auto" leaves a choice to Keras.
    return isinstance(value, bool) or value in (0, 1, "auto")


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    FLAG: (_is_flag, "true or false"),
    WHOLE: (_is_whole, f"a whole number up to {MAX_WHOLE}"),
    NUMBER: (_is_number, "a number"),
    TEXT: (_is_text, "a short text"),
    NAME: (_is_name, "a short text that leads to no other folder"),
    SIZES: (_are_sizes, f"whole numbers up to {MAX_WHOLE}"),
    FACTORS: (
        lambda value: _are_sizes(value, _MAX_FACTOR),
        f"whole numbers up to {_MAX_FACTOR}",
    ),
    NOTHING: (lambda _: False, "nothing: no file has such a value"),
}


def is_scalar(value: Any) -> bool:
    """Whether a value is plain and single; whole numbers up to the largest seed."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= _MAX_SEED
    return value is None or isinstance(value, (bool, float, str))
