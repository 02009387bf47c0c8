"""ViT, BERT and GPT-2 as one writes them with PyTorch, with the published weights of models.py."""
import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import safetensors


class Attention(nn.Module):
    """Self-attention with one product for query, key and value."""

    def __init__(self, dim, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        batch, length, dim = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(self.mix(q, k, v).transpose(1, 2).reshape(batch, length, dim))

    def mix(self, q, k, v):
        scores = q @ k.transpose(-2, -1) * q.size(-1) ** -0.5
        if self.causal:
            later = torch.ones(q.size(2), q.size(2), dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        return torch.softmax(scores, -1) @ v


class FusedAttention(Attention):
    """The same with the function that PyTorch 2 has for it."""

    def mix(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)


class Block(nn.Module):
    def __init__(self, dim, heads, ffn, eps, norm_first, attention=Attention, causal=False):
        super().__init__()
        self.norm_first = norm_first
        self.gelu = "tanh" if causal else "none"  # GPT-2's is the approximate one
        self.attention = attention(dim, heads, causal)
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps), nn.LayerNorm(dim, eps)
        self.up, self.down = nn.Linear(dim, ffn), nn.Linear(ffn, dim)

    def mlp(self, x):
        return self.down(F.gelu(self.up(x), approximate=self.gelu))

    def forward(self, x):
        if self.norm_first:
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.mlp(x))


def fused_layer(block, dim, heads, ffn, eps, norm_first):
    """A block as the layer that PyTorch before 2.0 runs in one fused operation."""
    layer = nn.TransformerEncoderLayer(dim, heads, ffn, dropout=0, activation=F.gelu, layer_norm_eps=eps,
                                       batch_first=True, norm_first=norm_first)
    pairs = {layer.self_attn.out_proj: block.attention.proj, layer.linear1: block.up, layer.linear2: block.down,
             layer.norm1: block.norm1, layer.norm2: block.norm2}
    layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias = block.attention.qkv.weight, block.attention.qkv.bias
    for theirs, ours in pairs.items():
        theirs.weight, theirs.bias = ours.weight, ours.bias
    return layer


FUSED_FUNCTION = hasattr(F, "scaled_dot_product_attention")


def _blocks(depth, fused, *sizes):
    """Blocks that are filled by name; `finish` makes them what is run."""
    attention = FusedAttention if fused and FUSED_FUNCTION else Attention
    blocks = nn.ModuleList(Block(*sizes, attention) for _ in range(depth))

    def finish():
        return nn.ModuleList(fused_layer(block, *sizes) for block in blocks) if fused and not FUSED_FUNCTION else blocks

    return blocks, finish


class Vit(nn.Module):
    """Pixels B x 3 x 224 x 224 -> logits, B x classes."""

    def __init__(self, folder, fused=False):
        super().__init__()
        config, file = _open(folder)
        o = config["model_args"]
        dim = o["embed_dim"]
        self.patch = nn.Conv2d(3, dim, o["patch_size"], o["patch_size"])
        self.class_token, self.positions = (nn.Parameter(_tensor(file, name)) for name in ("cls_token", "pos_embed"))
        self.blocks, finish = _blocks(o["depth"], fused, dim, o["num_heads"], 4 * dim, 1e-6, True)
        self.norm, self.head = nn.LayerNorm(dim, 1e-6), nn.Linear(dim, config["num_classes"])
        for module, name in ((self.patch, "patch_embed.proj"), (self.norm, "norm"), (self.head, "head")):
            _fill(module, file, name)
        for n, block in enumerate(self.blocks):
            for module, name in ((block.norm1, "norm1"), (block.attention.qkv, "attn.qkv"), (block.norm2, "norm2"),
                                 (block.attention.proj, "attn.proj"), (block.up, "mlp.fc1"), (block.down, "mlp.fc2")):
                _fill(module, file, f"blocks.{n}.{name}")
        self.blocks = finish()

    def forward(self, pixels):
        x = self.patch(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.size(0), -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))


class Bert(nn.Module):
    """Ids B x L -> hidden states, B x L x dim."""

    def __init__(self, folder, fused=False):
        super().__init__()
        config, file = _open(folder)
        dim, eps = config["hidden_size"], config["layer_norm_eps"]
        self.words, self.positions, self.types = (
            nn.Embedding.from_pretrained(_tensor(file, f"bert.embeddings.{name}_embeddings.weight"))
            for name in ("word", "position", "token_type"))
        self.norm = nn.LayerNorm(dim, eps)
        _fill(self.norm, file, "bert.embeddings.LayerNorm")
        self.blocks, finish = _blocks(config["num_hidden_layers"], fused, dim, config["num_attention_heads"],
                                      config["intermediate_size"], eps, False)
        for n, block in enumerate(self.blocks):
            layer = f"bert.encoder.layer.{n}."
            for module, name in ((block.attention.proj, "attention.output.dense"),
                                 (block.norm1, "attention.output.LayerNorm"), (block.up, "intermediate.dense"),
                                 (block.down, "output.dense"), (block.norm2, "output.LayerNorm")):
                _fill(module, file, layer + name)
            for part in ("weight", "bias"):
                three = [_tensor(file, f"{layer}attention.self.{name}.{part}") for name in ("query", "key", "value")]
                setattr(block.attention.qkv, part, nn.Parameter(torch.cat(three)))
        self.blocks = finish()

    def forward(self, ids):
        x = self.words(ids) + self.types.weight[0] + self.positions.weight[:ids.size(1)]
        x = self.norm(x)
        for block in self.blocks:
            x = block(x)
        return x


class Gpt2(nn.Module):
    """Ids B x L -> logits, B x L x vocabulary."""

    def __init__(self, folder, fused=False):
        super().__init__()
        config, file = _open(folder)
        dim, eps = config["n_embd"], config["layer_norm_epsilon"]
        self.words, self.positions = (nn.Embedding.from_pretrained(_tensor(file, f"transformer.{name}.weight"), False)
                                      for name in ("wte", "wpe"))
        self.norm = nn.LayerNorm(dim, eps)
        _fill(self.norm, file, "transformer.ln_f")
        attention = FusedAttention if fused else Attention
        self.blocks = nn.ModuleList(Block(dim, config["n_head"], 4 * dim, eps, True, attention, causal=True)
                                    for _ in range(config["n_layer"]))
        for n, block in enumerate(self.blocks):
            for module, name in ((block.norm1, "ln_1"), (block.norm2, "ln_2"), (block.attention.qkv, "attn.c_attn"),
                                 (block.attention.proj, "attn.c_proj"), (block.up, "mlp.c_fc"),
                                 (block.down, "mlp.c_proj")):
                _fill(module, file, f"transformer.h.{n}.{name}")
                if isinstance(module, nn.Linear):  # stored as inputs x outputs
                    module.weight = nn.Parameter(module.weight.detach().t().contiguous())

    def forward(self, ids):
        x = self.words(ids) + self.positions.weight[:ids.size(1)]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.words.weight)


def _open(folder):
    folder = Path(folder)
    return json.loads((folder / "config.json").read_text()), safetensors.Tensors(folder / "model.safetensors")


def _tensor(file, name):
    return torch.from_numpy(file[name])


def _fill(module, file, name):
    module.weight, module.bias = (nn.Parameter(_tensor(file, f"{name}.{part}")) for part in ("weight", "bias"))


def load(folder, fused=False):
    """The model of a folder of models.py, in eval mode; its parameters take gradients."""
    config = _open(folder)[0]
    model = Vit if "architecture" in config else Gpt2 if config["model_type"] == "gpt2" else Bert
    return model(folder, fused).eval()
