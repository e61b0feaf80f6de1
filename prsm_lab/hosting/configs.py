"""What a model's settings may say: lists of what is allowed, because what is not known may load code.

`trust_remote_code=False` alone is no boundary: a `config.json` names classes, kernels and files in fields of its own.
So the loader sees settings that were written by us, of fields that are known to be plain.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from prsm_lab.hosting.headers import refused

if TYPE_CHECKING:
    from pathlib import Path

    from prsm_lab.types import JSON

ARCHITECTURES: Final = {
    "bloom": "BloomForCausalLM", "cohere": "CohereForCausalLM", "cohere2": "Cohere2ForCausalLM",
    "falcon": "FalconForCausalLM", "gemma": "GemmaForCausalLM", "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM", "gpt2": "GPT2LMHeadModel", "gpt_bigcode": "GPTBigCodeForCausalLM",
    "gpt_neo": "GPTNeoForCausalLM", "gpt_neox": "GPTNeoXForCausalLM", "gptj": "GPTJForCausalLM",
    "granite": "GraniteForCausalLM", "llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM", "olmo": "OlmoForCausalLM", "olmo2": "Olmo2ForCausalLM",
    "olmo3": "Olmo3ForCausalLM", "opt": "OPTForCausalLM", "phi": "PhiForCausalLM", "phi3": "Phi3ForCausalLM",
    "qwen2": "Qwen2ForCausalLM", "qwen2_moe": "Qwen2MoeForCausalLM", "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM", "smollm3": "SmolLM3ForCausalLM", "stablelm": "StableLmForCausalLM",
    "starcoder2": "Starcoder2ForCausalLM",
}  # fmt: skip
"""By `model_type`; the code of each is in transformers itself."""

_FIELDS: Final = frozenset(
    {"_remove_final_layer_norm", "_sliding_window_pattern", "activation", "activation_function",
     "add_cross_attention", "alibi", "apply_residual_connection_post_layernorm", "architectures",
     "attention_bias", "attention_dropout", "attention_layers", "attention_multiplier",
     "attention_softmax_in_fp32", "attention_types", "attn_logit_softcapping", "attn_pdrop",
     "bias", "bos_token_id", "chunk_size_feed_forward", "classifier_dropout", "clip_qkv", "d_model",
     "decoder_sparse_step", "do_layer_norm_before", "dropout", "dtype", "emb_pdrop", "embd_pdrop",
     "embed_dropout", "embedding_dropout", "embedding_fraction", "embedding_multiplier", "enable_bias",
     "eos_token_id", "expansion_ratio", "ffn_dim", "ffn_hidden_size", "final_logit_softcapping", "head_dim",
     "hidden_act", "hidden_activation", "hidden_dropout", "hidden_size", "id2label", "init_std",
     "initializer_range", "intermediate_size", "is_decoder", "is_encoder_decoder", "label2id",
     "layer_norm_elementwise_affine", "layer_norm_eps", "layer_norm_epsilon", "layer_types", "layerdrop",
     "learned_pos_emb", "logit_scale", "logits_scaling", "max_position_embeddings", "max_seq_len",
     "max_window_layers", "mlp_bias", "mlp_only_layers", "model_type", "moe_intermediate_size", "multi_query",
     "n_ctx", "n_embd", "n_head", "n_heads", "n_inner", "n_layer", "n_layers", "n_positions",
     "new_decoder_architecture", "no_bias", "no_rope_layer_interval", "no_rope_layers", "norm_epsilon",
     "norm_topk_prob", "norm_type", "num_attention_heads", "num_experts", "num_experts_per_tok", "num_heads",
     "num_hidden_layers", "num_key_value_heads", "num_kv_heads", "num_layers", "num_ln_in_parallel_attn",
     "num_local_experts", "original_max_position_embeddings", "output_attentions", "output_hidden_states",
     "output_router_logits", "pad_token_id", "parallel_attn", "partial_rotary_factor", "pretraining_tp",
     "problem_type", "qk_layernorm", "qkv_bias", "query_pre_attn_scalar", "reorder_and_upcast_attn",
     "resid_dropout", "resid_pdrop", "residual_dropout", "residual_multiplier", "return_dict", "rms_norm_eps",
     "rope_parameters", "rope_scaling", "rope_theta", "rotary_dim", "rotary_emb_base", "rotary_pct",
     "router_aux_loss_coef", "router_jitter_noise", "scale_attention_softmax_in_fp32",
     "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "shared_expert_intermediate_size",
     "sliding_window", "sliding_window_pattern", "slow_but_exact", "summary_activation",
     "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
     "tie_word_embeddings", "torch_dtype", "unk_token_id", "use_bias", "use_bidirectional_attention",
     "use_cache", "use_parallel_residual", "use_qk_norm", "use_qkv_bias", "use_sliding_window", "vocab_size",
     "window_size", "word_embed_proj_dim"}
)  # fmt: skip
_DROPPED: Final = frozenset(
    {"_name_or_path", "transformers_version", "task_specific_params", "gradient_checkpointing", "init_device",
     "transformers.js_config", "loss_type", "finetuning_task", "id2label", "label2id"}
)  # fmt: skip
"""Harmless and useless here: left out. `task_specific_params` is only looked at for DialoGPT's mark."""
_TABLES: Final = frozenset({"rope_parameters", "rope_scaling"})
_TOKENIZER_FIELDS: Final = frozenset(
    {"bos_token", "eos_token", "pad_token", "unk_token", "additional_special_tokens", "extra_special_tokens",
     "chat_template", "model_max_length"}
)  # fmt: skip
_TOKENIZER_FORBIDDEN: Final = frozenset({"auto_map", "trust_remote_code", "custom_pipelines", "processor_class"})
_WORD: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_DTYPES: Final = frozenset({"float32", "float16", "bfloat16", "auto"})
LARGEST_FILE: Final = 64 * 2**20
"""Bytes of a JSON file; a tokenizer's vocabulary is the largest."""
LONGEST_TEMPLATE: Final = 256 * 1024
_BLOCKS: Final = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_TEXTS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_UNSAFE: Final = re.compile(r"__|\battr\b|\b(?:import|include|extends|self|cycler|joiner|lipsum)\b")


def read(path: Path) -> JSON:
    """Read a JSON file that somebody else wrote.

    Raises:
        InvalidRequestError: If it is too large, no JSON, or no object.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise refused(path.name, f"it is larger than {LARGEST_FILE // 2**20} MB")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as fault:
        raise refused(path.name, f"it is no JSON ({str(fault)[:80]})") from None
    if not isinstance(found, dict):
        raise refused(path.name, "it is no JSON object")
    return found


def checked(config: JSON) -> JSON:
    """Return the settings of a model that the loader may see.

    Raises:
        InvalidRequestError: Naming the field that is not known to be harmless.

    >>> checked({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 2, "auto_map": {}})
    Traceback (most recent call last):
    prsm_lab.errors.InvalidRequestError: config.json is refused: its field 'auto_map' is not on the list of those known.
    """
    kind, named = config.get("model_type"), config.get("architectures")
    wanted = ARCHITECTURES.get(kind) if isinstance(kind, str) else None
    if wanted is None:
        raise refused("config.json", f"model_type {kind!r:.60} is not one of {', '.join(ARCHITECTURES)}")
    if named not in ([wanted], None):
        raise refused("config.json", f"architectures {named!r:.80} is not [{wanted!r}], which {kind} needs")
    made: JSON = {}
    for name, value in config.items():
        if name in _DROPPED:
            continue
        if name not in _FIELDS:
            raise refused("config.json", f"its field {name!r:.60} is not on the list of those known")
        if not _plain(value, table=name in _TABLES):
            raise refused("config.json", f"its field {name!r} holds {str(value)[:60]!r}, which is not plain")
        if name in ("dtype", "torch_dtype") and value not in _DTYPES:
            raise refused("config.json", f"its {name} {value!r:.40} is not one of {', '.join(sorted(_DTYPES))}")
        made[name] = value
    return {**made, "architectures": [wanted]}


def _plain(value: object, *, table: bool = False, depth: int = 0) -> bool:
    """Numbers of bearable size, truth values, single words, and short lists of them."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, (int, float)):
        return -(2**40) <= value <= 2**40
    if isinstance(value, str):
        return bool(_WORD.fullmatch(value)) and ".." not in value
    if isinstance(value, list):
        return depth < 4 and len(value) <= 4096 and all(_plain(one, depth=depth + 1) for one in value)
    if table and isinstance(value, dict):
        return len(value) <= 64 and all(
            bool(_WORD.fullmatch(name)) and _plain(one, table=depth < 2, depth=depth + 1) for name, one in value.items()
        )
    return False


def talks(config: JSON) -> bool:
    """Is it a model like DialoGPT, whose turns end with the end-of-text token?"""
    tasks = config.get("task_specific_params")
    return isinstance(tasks, dict) and "conversational" in tasks


def tokenizer(settings: JSON) -> JSON:
    """Return the special tokens, template and limit of a tokenizer; its class and files are the loader's to choose.

    Raises:
        InvalidRequestError: If it names code to be loaded, or its tokens are no texts.
    """
    for name in _TOKENIZER_FORBIDDEN & settings.keys():
        raise refused("tokenizer_config.json", f"its field {name!r} names code to be loaded")
    made: JSON = {}
    for name in _TOKENIZER_FIELDS & settings.keys():
        value = settings[name]
        if name == "chat_template":
            made[name] = template(_default(value), "tokenizer_config.json")
        elif name == "model_max_length":
            if isinstance(value, (int, float)) and 0 < value < 2**31:
                made[name] = int(value)
        elif name.endswith("_tokens"):
            many = list(value.values()) if isinstance(value, dict) else value
            made[name] = [_token(one, name) for one in many] if isinstance(many, list) else []
        elif value is not None:
            made[name] = _token(value, name)
    return made


def _default(value: object) -> object:
    """Several templates may stand under names; `default` is the one for chats."""
    if isinstance(value, list):
        named = {one.get("name"): one.get("template") for one in value if isinstance(one, dict)}
        return named.get("default")
    return value


def _token(value: object, name: str) -> str:
    content = value.get("content") if isinstance(value, dict) else value
    if not isinstance(content, str) or len(content) > 256:
        raise refused("tokenizer_config.json", f"its {name} holds {str(value)[:60]!r}, which is no token")
    return content


def template(text: object, file: str = "chat_template.jinja") -> str | None:
    """Return a chat template that stays in its sandbox.

    It is rendered in an immutable sandbox, with limits of time and size, in a process without keys and network. What
    no template of a chat needs is refused before that: names with double underscores, `attr`, other templates.

    Raises:
        InvalidRequestError: Saying what it tries.

    >>> template("{% for m in messages %}{{ m.content }}{% endfor %}") is not None
    True
    """
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > LONGEST_TEMPLATE:
        raise refused(file, f"its chat template is no text of at most {LONGEST_TEMPLATE // 1024} kB", "template")
    for block in _BLOCKS.findall(text):
        inside = [*_TEXTS.findall(block), _TEXTS.sub("''", block)]
        hidden = next((one for one in inside[:-1] if "__" in one and re.search(r"__\w+__", one)), None)
        found = _UNSAFE.search(inside[-1])
        if found or hidden:
            tried = found.group(0) if found else hidden
            raise refused(file, f"its chat template uses {tried!r:.40}, which no chat needs", "template")
    return text
