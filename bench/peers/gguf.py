"""LLaMA's weights as a GGUF file for llama.cpp: bf16, Q8_0 or Q4_0 (the format: ggml/docs/gguf.md)."""
import os
import struct
from pathlib import Path

import numpy as np

import safetensors

_UINT32, _FLOAT32, _STRING = 4, 6, 8
_ALIGNMENT = 32
_BLOCK = 32  # numbers that share a scale
_FORMATS = {"f32": (0, 0), "bf16": (30, 32), "q8_0": (8, 7), "q4_0": (2, 2)}  # type of a tensor, type of a file


def _blocks(x):
    return np.ascontiguousarray(x, np.float32).reshape(-1, _BLOCK)


def _q8_0(x):
    """A float16 scale and 32 int8 numbers a block; the largest of them is 127."""
    x = _blocks(x)
    scale = np.abs(x).max(1) / 127
    q = np.rint(x / np.where(scale == 0, 1, scale)[:, None]).astype(np.int8)
    return np.concatenate([scale.astype(np.float16)[:, None].view(np.uint8), q.view(np.uint8)], 1)


def _q4_0(x):
    """A float16 scale and 32 numbers of four bits a block: the number that is largest becomes -8."""
    x = _blocks(x)
    largest = x[np.arange(len(x)), np.abs(x).argmax(1)]
    scale = largest / -8
    q = np.clip(np.floor(x / np.where(scale == 0, 1, scale)[:, None] + 8.5), 0, 15).astype(np.uint8)
    packed = q[:, :_BLOCK // 2] | (q[:, _BLOCK // 2:] << 4)
    return np.concatenate([scale.astype(np.float16)[:, None].view(np.uint8), packed], 1)


_PACK = {"f32": lambda x: np.asarray(x, np.float32), "bf16": safetensors.to_bfloat16, "q8_0": _q8_0, "q4_0": _q4_0}
_BYTES = {"f32": 4, "bf16": 2, "q8_0": 34 / 32, "q4_0": 18 / 32}  # a number


def _pairs_interleaved(weight, heads):
    """llama.cpp turns neighbours of a head; the published weights hold them half a head apart."""
    outputs, inputs = weight.shape
    return weight.reshape(heads, 2, outputs // heads // 2, inputs).swapaxes(1, 2).reshape(outputs, inputs)


_LAYER = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
          "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
          "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def _names(depth):
    """llama.cpp's names -> the published ones"""
    names = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    for n in range(depth):
        names.update({f"blk.{n}.{ours}": f"model.layers.{n}.{theirs}" for ours, theirs in _LAYER.items()})
    return {ours + ".weight": theirs + ".weight" for ours, theirs in names.items()}


def _metadata(config, file_type):
    heads = config["num_attention_heads"]
    return {"general.architecture": "llama", "general.name": "random", "general.file_type": file_type,
            "general.quantization_version": 2, "general.alignment": _ALIGNMENT,
            "llama.vocab_size": config["vocab_size"], "llama.context_length": config["max_position_embeddings"],
            "llama.embedding_length": config["hidden_size"], "llama.block_count": config["num_hidden_layers"],
            "llama.feed_forward_length": config["intermediate_size"], "llama.attention.head_count": heads,
            "llama.attention.head_count_kv": config["num_key_value_heads"],
            "llama.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
            "llama.rope.dimension_count": config["hidden_size"] // heads,
            "llama.rope.freq_base": config["rope_theta"],
            "tokenizer.ggml.model": "no_vocab"}  # rows are token ids: no text is read or written


def _string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def _value(value):
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    return struct.pack("<If", _FLOAT32, value) if isinstance(value, float) else struct.pack("<II", _UINT32, value)


def write(path, folder, config, form):
    """Writes the model of `folder` (models.py) unless the file is there. Norms stay float32; all else is `form`, the
    token table and the head included, which costs accuracy and gives llama.cpp the fewest bytes to read."""
    path = Path(path)
    if path.exists():
        return path
    tensors = safetensors.Tensors(Path(folder) / "model.safetensors")
    names = _names(config["num_hidden_layers"])
    metadata = _metadata(config, _FORMATS[form][1])
    head = b"GGUF" + struct.pack("<IQQ", 3, len(names), len(metadata))
    head += b"".join(_string(key) + _value(value) for key, value in metadata.items())
    at = 0
    for ours, theirs in names.items():
        shape = tensors.shape(theirs)
        kind = "f32" if len(shape) == 1 else form
        head += _string(ours) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), _FORMATS[kind][0], at)
        at += -int(-np.prod(shape) * _BYTES[kind] // _ALIGNMENT) * _ALIGNMENT
    partial = Path(str(path) + ".partial")
    with open(partial, "wb") as file:
        file.write(head + bytes(-len(head) % _ALIGNMENT))
        for ours, theirs in names.items():
            weight = tensors[theirs]
            for part, heads in (("attn_q.", "num_attention_heads"), ("attn_k.", "num_key_value_heads")):
                if part in ours:
                    weight = _pairs_interleaved(weight, config[heads])
            data = _PACK["f32" if weight.ndim == 1 else form](weight).tobytes()
            file.write(data + bytes(-len(data) % _ALIGNMENT))
    os.replace(partial, path)
    return path
