"""The models that all sides load: published names and sizes, random weights, and the inputs of every row."""
import json
from pathlib import Path

import numpy as np

import safetensors

DEPTH, LARGE_DEPTH, LLAMA_DEPTH = 12, 24, 22
CONTEXT, STEPS, PREFILL, SEQUENCES = 128, 16, 512, 8  # of decoding, in tokens; read by the sides as well


def _vit(size, dim, heads, depth, patch=16, side=224):
    return {"architecture": f"vit_{size}_patch{patch}_{side}", "num_classes": 1000,
            "model_args": {"embed_dim": dim, "depth": depth, "num_heads": heads, "patch_size": patch,
                           "img_size": side}}


def configs(depth=None):
    """config.json by model; `depth` instead of the published one makes models that only check that all runs."""
    bert = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 768,
            "num_hidden_layers": depth or DEPTH, "num_attention_heads": 12, "intermediate_size": 3072,
            "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu",
            "layer_norm_eps": 1e-12}
    llama = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2048,
             "num_hidden_layers": depth or LLAMA_DEPTH, "num_attention_heads": 32, "num_key_value_heads": 4,
             "intermediate_size": 5632, "vocab_size": 32000, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
             "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False}
    gpt2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_layer": depth or DEPTH,
            "n_head": 12, "n_positions": 1024, "vocab_size": 50257, "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5, "resid_pdrop": 0.0}
    return {"vit": _vit("base", 768, 12, depth or DEPTH), "vit-small": _vit("small", 384, 6, depth or DEPTH),
            "vit-large": _vit("large", 1024, 16, depth or LARGE_DEPTH, 14, 336), "bert": bert, "gpt2": gpt2,
            "llama": llama}


def _linear(shapes, name, inputs, outputs):
    shapes[name + ".weight"], shapes[name + ".bias"] = (outputs, inputs), (outputs,)


def _norm(shapes, name, dim):
    shapes[name + ".weight"], shapes[name + ".bias"] = (dim,), (dim,)


def _vit_shapes(config):
    arguments = config["model_args"]
    dim, patch, shapes = arguments["embed_dim"], arguments["patch_size"], {}
    tokens = (arguments["img_size"] // patch) ** 2 + 1
    shapes["cls_token"], shapes["pos_embed"] = (1, 1, dim), (1, tokens, dim)
    shapes["patch_embed.proj.weight"], shapes["patch_embed.proj.bias"] = (dim, 3, patch, patch), (dim,)
    for n in range(arguments["depth"]):
        block = f"blocks.{n}."
        _norm(shapes, block + "norm1", dim)
        _linear(shapes, block + "attn.qkv", dim, 3 * dim)
        _linear(shapes, block + "attn.proj", dim, dim)
        _norm(shapes, block + "norm2", dim)
        _linear(shapes, block + "mlp.fc1", dim, 4 * dim)
        _linear(shapes, block + "mlp.fc2", 4 * dim, dim)
    _norm(shapes, "norm", dim)
    _linear(shapes, "head", dim, config["num_classes"])
    return shapes


def _bert_shapes(config):
    dim, ffn, shapes = config["hidden_size"], config["intermediate_size"], {}
    for name, rows in (("word", "vocab_size"), ("position", "max_position_embeddings"),
                       ("token_type", "type_vocab_size")):
        shapes[f"bert.embeddings.{name}_embeddings.weight"] = (config[rows], dim)
    _norm(shapes, "bert.embeddings.LayerNorm", dim)
    for n in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{n}."
        for part in ("query", "key", "value"):
            _linear(shapes, layer + "attention.self." + part, dim, dim)
        _linear(shapes, layer + "attention.output.dense", dim, dim)
        _norm(shapes, layer + "attention.output.LayerNorm", dim)
        _linear(shapes, layer + "intermediate.dense", dim, ffn)
        _linear(shapes, layer + "output.dense", ffn, dim)
        _norm(shapes, layer + "output.LayerNorm", dim)
    _linear(shapes, "cls.predictions.transform.dense", dim, dim)
    _norm(shapes, "cls.predictions.transform.LayerNorm", dim)
    shapes["cls.predictions.bias"] = (config["vocab_size"],)
    return shapes


def _llama_shapes(config):
    dim, ffn = config["hidden_size"], config["intermediate_size"]
    narrow = dim // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], dim)}
    for n in range(config["num_hidden_layers"]):
        layer = f"model.layers.{n}."
        shapes[layer + "input_layernorm.weight"] = (dim,)
        for part, outputs in (("q", dim), ("k", narrow), ("v", narrow), ("o", dim)):
            shapes[layer + f"self_attn.{part}_proj.weight"] = (outputs, dim)
        shapes[layer + "post_attention_layernorm.weight"] = (dim,)
        shapes[layer + "mlp.gate_proj.weight"] = shapes[layer + "mlp.up_proj.weight"] = (ffn, dim)
        shapes[layer + "mlp.down_proj.weight"] = (dim, ffn)
    shapes["model.norm.weight"], shapes["lm_head.weight"] = (dim,), (config["vocab_size"], dim)
    return shapes


def _gpt2_shapes(config):
    dim, shapes = config["n_embd"], {}
    shapes["transformer.wte.weight"] = (config["vocab_size"], dim)
    shapes["transformer.wpe.weight"] = (config["n_positions"], dim)
    for n in range(config["n_layer"]):
        layer = f"transformer.h.{n}."
        _norm(shapes, layer + "ln_1", dim)
        _norm(shapes, layer + "ln_2", dim)
        for name, inputs, outputs in (("attn.c_attn", dim, 3 * dim), ("attn.c_proj", dim, dim),
                                      ("mlp.c_fc", dim, 4 * dim), ("mlp.c_proj", 4 * dim, dim)):
            shapes[layer + name + ".weight"], shapes[layer + name + ".bias"] = (inputs, outputs), (outputs,)
    _norm(shapes, "transformer.ln_f", dim)
    return shapes


_SHAPES = {"vit": _vit_shapes, "vit-small": _vit_shapes, "vit-large": _vit_shapes,
           "bert": _bert_shapes, "gpt2": _gpt2_shapes, "llama": _llama_shapes}
_LAST_OF_BRANCH = ("attn.proj.weight", "fc2.weight", "output.dense.weight", "o_proj.weight", "down_proj.weight",
                   "c_proj.weight")
_TABLES = ("wpe.weight", "pos_embed", "cls_token")


def _random_weights(random, depth):
    """Weights that keep the size of a signal: a product neither grows nor shrinks it, and what the branches of all
    blocks add to the residual stream is together of its size."""

    def draw(name, shape):
        numbers = random.standard_normal(shape, np.float32)
        if len(shape) == 1 and name.endswith("weight"):  # a norm's
            return 1 + 0.1 * numbers
        if len(shape) == 1 or name.endswith(_TABLES):
            return 0.02 * numbers
        inputs = shape[0] if ".c_" in name else np.prod(shape[1:])  # GPT-2 stores inputs x outputs
        if name.endswith(_LAST_OF_BRANCH):
            inputs = inputs * 2 * depth
        return numbers / np.float32(np.sqrt(inputs))

    return draw


def _inputs(model, random):
    """name -> (numbers, type)"""
    if model.startswith("vit"):
        pictures, side = {"vit": (8, 224), "vit-small": (32, 224), "vit-large": (1, 336)}[model]
        return "pixels", random.standard_normal((pictures, 3, side, side), np.float32), "F32"
    if model == "bert":
        return "ids", random.integers(1000, 30000, (32, 128)), "I64"
    if model == "gpt2":
        return "ids", random.integers(0, 50257, (4, 512)), "I64"
    return "ids", random.integers(3, 32000, (SEQUENCES, PREFILL)), "I64"


def write(folder, model, depth=None):
    """Writes config.json, model.safetensors and inputs.safetensors unless they are there; returns the folder."""
    folder = Path(folder) / (model if depth is None else f"{model}-{depth}")
    config = configs(depth)[model]
    if (folder / "config.json").exists() and json.loads((folder / "config.json").read_text()) == config:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(2026)
    shapes = _SHAPES[model](config)
    blocks = depth or {"llama": LLAMA_DEPTH, "vit-large": LARGE_DEPTH}.get(model, DEPTH)
    # The language model has bfloat16 weights, as most are published, so that no side rounds them.
    safetensors.write(folder / "model.safetensors", shapes, _random_weights(random, blocks),
                      "BF16" if model == "llama" else "F32")
    name, numbers, dtype = _inputs(model, random)
    safetensors.write(folder / "inputs.safetensors", {name: numbers.shape}, lambda *_: numbers, dtype)
    (folder / "config.json").write_text(json.dumps(config))  # last: its presence says that all is there
    return folder
