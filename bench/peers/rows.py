"""What `make bench-peers` compares: the lines of its table, and the bars that are set for them."""
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import models
import work

MACHINE = "the machine"


class SideOf(NamedTuple):
    """A process that holds a model: who, in which precision, and which way of its own."""
    program: str  # Tessera, ONNX Runtime, PyTorch or llama.cpp; MACHINE: what it can do at most
    precision: str  # of the machine: that of a large product, or "read" for its memory
    variant: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a model by Tessera against the fastest of a peer's ways."""
    model: str
    name: str
    row: str
    ours: SideOf
    peers: tuple  # of SideOf: the ways of one peer
    bar: float = None  # what the ratio is to reach; None: none is set
    work: float = 1  # inputs or tokens of one run, GFLOP or GB: the ratio is one of work in a time
    unit: str = "ms"  # "MB", or one of RATES
    peer_row: str = ""  # where it is another one
    peer_work: float = 0  # likewise


RATES = ("tokens/s", "GFLOP/s", "GB/s")


@dataclass(frozen=True)
class Group:
    """What runs in turns, with all its sides loaded at once."""
    model: str  # empty: none is needed
    batches: tuple = ()
    training: bool = False
    purpose: str = ""  # else: "memory" of loading and answering, "start" of the program
    lines: list = field(default_factory=list)


# The cosine that an output must have with that of Tessera in plain float32, or its time is not believed. Errors grow
# through layers of random weights more than through trained ones: four bits leave 0.89 of 22 layers, a mistake about 0.
TOLERANCE = {"float32": 0.9999, "bfloat16": 0.999, "bf16": 0.999, "int8": 0.99, "q8_0": 0.99,
             "int4": 0.8, "q4_0": 0.8}

GRADIENT_TOLERANCE = 0.99  # likewise that of a training step, which is in bfloat16

REFERENCE = SideOf("Tessera", "unprepared")

_ONNX = (SideOf("ONNX Runtime", "float32", "exported"), SideOf("ONNX Runtime", "float32", "fused"))
_ONNX_INT8 = (SideOf("ONNX Runtime", "int8", "int8"),)


def _torch(precision):
    return SideOf("PyTorch", precision, "plain"), SideOf("PyTorch", precision, "fused")


def _limit(model, name, row, precision, gflop, bar):
    """A row beside a large product of ours, which is the machine's limit: how much of the rate is reached."""
    return Line(model, name, row, SideOf("Tessera", precision), (SideOf(MACHINE, precision),), bar, gflop, "GFLOP/s")


def _encoder(model, name, batches, gflop):
    group = Group(model, batches)
    for precision, limit_bar, comparisons in (
            ("float32", 0.92, ((_ONNX, None), (_torch("float32"), None))),
            ("bfloat16", 0.92, ((_ONNX, 1.8), (_torch("bfloat16"), None))),
            ("int8", None, (((SideOf("Tessera", "bfloat16"),), 1.6), (_ONNX_INT8, 1.2), (_torch("int8")[:1], None)))):
        for batch in batches:
            row, of_row = f"batch-{batch}", f"{name} {precision}, batch {batch}"
            group.lines.append(_limit(model, of_row, row, precision, batch * gflop, limit_bar))
            for peers, bar in comparisons:
                group.lines.append(Line(model, of_row, row, SideOf("Tessera", precision), peers, bar))
    return group


def _attention_share(model, name, precision, config):
    """Attention alone beside the whole model. Its share of the time may be ten points above that of the arithmetic."""
    part, whole = work.vit_attention(config), work.vit(config)
    ours, share = SideOf("Tessera", precision), part / whole
    return Group(model, (1,), lines=[
        _limit(model, f"{name} {precision}, batch 1", "batch-1", precision, whole, None),
        Line(model, f"{name} {precision}, attention's rate", "attention", ours, (ours,), round(share / (share + 0.1), 2),
             part, "GFLOP/s", "batch-1", whole)])


def _language(precision, form, config, prefill_bar, read_bar, product_bar=None):
    ours = SideOf("Tessera", precision)
    llama = (SideOf("llama.cpp", form, "plain attention"), SideOf("llama.cpp", form, "flash attention"))
    name, many = f"LLaMA 1.1 B {precision}, ", models.STEPS * models.SEQUENCES
    gflop = work.llama_prefill(config, models.PREFILL)
    return Group("llama", lines=[
        Line("llama", name + "decode", "decode", ours, (SideOf(MACHINE, "read"),), read_bar, 0, "GB/s"),
        *([_limit("llama", name + f"prefill {models.PREFILL}", "prefill", precision, gflop, product_bar)]
          if product_bar else []),
        Line("llama", name + "decode", "decode", ours, llama, 1.1, models.STEPS, "tokens/s"),
        Line("llama", name + f"prefill {models.PREFILL}", "prefill", ours, llama, prefill_bar, models.PREFILL,
             "tokens/s"),
        Line("llama", name + f"decode {models.SEQUENCES} at once", "decode-many", ours, (ours,), 5, many, "tokens/s",
             "decode", models.STEPS),
        Line("llama", name + f"decode {models.SEQUENCES} at once", "decode-many", ours, llama, None, many, "tokens/s"),
    ])


def _training(model, name):
    ours = SideOf("Tessera", "bfloat16")
    return Group(model, training=True, lines=[
        Line(model, f"{name} bfloat16, training step", "step", ours, _torch("bfloat16"), 1.2),
        # At most 0.7 of the peer's memory.
        Line(model, f"{name} bfloat16, peak memory of training", "memory", ours, _torch("bfloat16"), 1.43, unit="MB")])


def _files(name):
    """From a JPEG file to the answer beside encoding alone: decoding and resizing may take a twentieth."""
    sides = [SideOf("Tessera", precision) for precision in ("float32", "bfloat16", "int8")]
    return Group("vit", (1,), lines=[
        Line("vit", f"{name} {side.precision}, 1920 x 1080 JPEG file", "file", side, (side,), 0.95, peer_row="batch-1")
        for side in sides])


def _memory(model, name, precisions):
    """The peak of loading and answering beside the weights in it: at most 15 % more."""
    sides = [SideOf("Tessera", precision) for precision in precisions]
    return Group(model, (1,), purpose="memory", lines=[
        Line(model, f"{name} {side.precision}, peak memory", "memory", side, (side,), 0.87, unit="MB",
             peer_row="weights")
        for side in sides])


def _start():
    side = SideOf("Tessera", "float32")
    return Group("", purpose="start", lines=[
        Line("", "tessera classify, one picture", "classify", side, (side,), peer_row="libtorch"),
        Line("", "tessera --version", "version", side, (side,), peer_row="libtorch")])


def groups(depth=None):
    """The parts of the table by name. @param depth  of the models instead of theirs, for which no bars are set"""
    configs = models.configs(depth)
    every = {
        "vit": _encoder("vit", "ViT-B/16", (1, 8), work.vit(configs["vit"])),
        "vit-large": _attention_share("vit-large", "ViT-L/14 336 px", "bfloat16", configs["vit-large"]),
        "bert": _encoder("bert", "BERT-base 128 tokens", (1, 32), work.bert(configs["bert"], 128)),
        "llama-bfloat16": _language("bfloat16", "bf16", configs["llama"], 2.2, 0.85, 0.85),
        "llama-int8": _language("int8", "q8_0", configs["llama"], 3.5, 0.85),
        "llama-int4": _language("int4", "q4_0", configs["llama"], 1.5, 0.75),
        "files": _files("ViT-B/16"),
        "memory-vit": _memory("vit", "ViT-B/16", ("float32", "bfloat16", "int8")),
        "memory-bert": _memory("bert", "BERT-base 128 tokens", ("float32", "bfloat16", "int8")),
        "memory-llama": _memory("llama", f"LLaMA 1.1 B", ("bfloat16", "int8", "int4")),
        "start": _start(),
        "training-vit": _training("vit-small", "ViT-S/16 batch 32"),
        "training-gpt2": _training("gpt2", "GPT-2 small 4 x 512"),
    }
    if depth:
        every = {name: replace(group, lines=[replace(line, bar=None) for line in group.lines])
                 for name, group in every.items()}
    return every
