"""ViT and BERT as ONNX files for ONNX Runtime, in the two ways that one gets them: as PyTorch exports the plain
modules, and as graphs of ONNX Runtime's own fused operators, which its optimizer for transformers makes of such an export. The
int8 form is the second with dynamically quantised products: int8 weights with a scale for every output, inputs rounded
to uint8 as they come."""
import os
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET = 17
_MICROSOFT = "com.microsoft"  # the domain of ONNX Runtime's own operators


class _Graph:
    """Nodes and weights in the order of the computation; every method returns the name of its result."""

    def __init__(self, model, int8):
        self.weights, self.int8 = dict(model.named_parameters()), int8
        self.nodes, self.constants, self.names = [], {}, 0

    def op(self, kind, *inputs, outputs=1, domain="", **attributes):
        """An operator; its last output is the result."""
        self.names += 1
        results = [f"{kind}_{self.names}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), results, domain=domain, **attributes))
        return results[-1] if outputs == 1 else results

    def constant(self, name, numbers):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(numbers), name)
        return name

    def weight(self, name, transposed=False):
        numbers = self.weights[name].detach().numpy()
        return self.constant(name, numbers.T if transposed else numbers)

    def quantized(self, name):
        """Names of a weight, inputs x outputs, in int8 and of the scale of each output."""
        weight = self.weights[name].detach().numpy()
        scale = np.abs(weight).max(1) / 127
        numbers = np.rint(weight / scale[:, None]).astype(np.int8).T
        return self.constant(name, numbers), self.constant(name + ".scale", scale.astype(np.float32))

    def product(self, x, name, bias):
        """x W^T, and + b where `bias`; without it the bias is left to what follows."""
        if self.int8:
            weight, scale = self.quantized(name + ".weight")
            inputs = [x, weight, scale, "", self.weight(name + ".bias") if bias else ""]
            return self.op("DynamicQuantizeMatMul", *inputs, domain=_MICROSOFT)
        y = self.op("MatMul", x, self.weight(name + ".weight", transposed=True))
        return self.op("Add", y, self.weight(name + ".bias")) if bias else y

    def attention(self, x, name, heads):
        bias = self.weight(name + ".bias")
        if not self.int8:
            weight = self.weight(name + ".weight", transposed=True)
            return self.op("Attention", x, weight, bias, domain=_MICROSOFT, num_heads=heads)
        weight, scale = self.quantized(name + ".weight")
        rounded, step, zero = self.op("DynamicQuantizeLinear", x, outputs=3)
        return self.op("QAttention", rounded, weight, bias, step, scale, "", zero, domain=_MICROSOFT, num_heads=heads)

    def norm(self, x, name, eps):
        return self.op("LayerNormalization", x, self.weight(name + ".weight"), self.weight(name + ".bias"), axis=-1,
                       epsilon=eps)

    def add_and_norm(self, x, skip, norm, eps, bias):
        """(the norm of the sum, the sum) of x + skip + bias."""
        numbers = [self.weight(name) for name in (norm + ".weight", norm + ".bias", bias)]
        results = self.op("SkipLayerNormalization", x, skip, *numbers, outputs=4, domain=_MICROSOFT, epsilon=eps)
        return results[0], results[3]

    def branch(self, x, block, kind, heads):
        """Attention or MLP of a block without its last bias; and that bias's name."""
        if kind == "attention":
            return self.product(self.attention(x, block + "attention.qkv", heads), block + "attention.proj", False), \
                block + "attention.proj.bias"
        up = self.product(x, block + "up", False)
        up = self.op("BiasGelu", up, self.weight(block + "up.bias"), domain=_MICROSOFT)
        return self.product(up, block + "down", False), block + "down.bias"

    def save(self, path, source, shape, result):
        """Writes the model with one input of this shape and the result as its output."""
        self.nodes.append(helper.make_node("Identity", [result], ["output"]))
        name, kind = source
        graph = helper.make_graph(self.nodes, "model", [helper.make_tensor_value_info(name, kind, shape)],
                                  [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
                                  list(self.constants.values()))
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def _vit(graph, model):
    dim, heads = model.class_token.size(-1), model.blocks[0].attention.heads
    patches = graph.op("Conv", "pixels", graph.weight("patch.weight"), graph.weight("patch.bias"),
                       kernel_shape=[16, 16], strides=[16, 16])
    flat = graph.op("Reshape", patches, graph.constant("flat", np.array([0, dim, -1])))
    tokens = graph.op("Transpose", flat, perm=[0, 2, 1])
    batch = graph.op("Concat", graph.op("Shape", "pixels", start=0, end=1), graph.constant("one", np.array([1, dim])),
                     axis=0)
    first = graph.op("Expand", graph.weight("class_token"), batch)
    stream = graph.op("Add", graph.op("Concat", first, tokens, axis=1), graph.weight("positions"))
    x = graph.norm(stream, "blocks.0.norm1", 1e-6)
    for n in range(len(model.blocks)):
        last = n + 1 == len(model.blocks)
        for kind, norm in (("attention", f"blocks.{n}.norm2"), ("mlp", "norm" if last else f"blocks.{n + 1}.norm1")):
            added, bias = graph.branch(x, f"blocks.{n}.", kind, heads)
            x, stream = graph.add_and_norm(added, stream, norm, 1e-6, bias)
    first = graph.op("Gather", x, graph.constant("zero", np.array(0)), axis=1)
    return graph.product(first, "head", True)


def _bert(graph, model):
    heads, eps = model.blocks[0].attention.heads, model.norm.eps
    length = graph.op("Shape", "ids", start=1, end=2)
    places = graph.op("Slice", graph.weight("positions.weight"), graph.constant("from", np.array([0])), length,
                      graph.constant("axis", np.array([0])))
    type_vector = graph.constant("type", model.types.weight[0].detach().numpy())
    words = graph.op("Gather", graph.weight("words.weight"), "ids")
    x = graph.norm(graph.op("Add", graph.op("Add", words, type_vector), places), "norm", eps)
    for n in range(len(model.blocks)):
        for kind, norm in (("attention", "norm1"), ("mlp", "norm2")):
            added, bias = graph.branch(x, f"blocks.{n}.", kind, heads)
            x, _ = graph.add_and_norm(added, x, f"blocks.{n}.{norm}", eps, bias)
    return x


def write(path, model, int8):
    """Writes a model of torch_models.py as fused operators."""
    graph = _Graph(model, int8)
    if hasattr(model, "patch"):
        graph.save(path, ("pixels", TensorProto.FLOAT), ["batch", 3, 224, 224], _vit(graph, model))
    else:
        graph.save(path, ("ids", TensorProto.INT64), ["batch", "length"], _bert(graph, model))


def export(path, model):
    """Writes the same as PyTorch exports it."""
    import torch

    pixels = hasattr(model, "patch")
    example = torch.zeros(1, 3, 224, 224) if pixels else torch.zeros(1, 128, dtype=torch.int64)
    name = "pixels" if pixels else "ids"
    torch.onnx.export(model, example, path, opset_version=_OPSET, input_names=[name], output_names=["output"],
                      dynamic_axes={name: {0: "batch"}, "output": {0: "batch"}})


def write_all(folder):
    """exported.onnx, fused.onnx and int8.onnx in a folder of models.py, unless they are there."""
    import torch_models

    model, folder = None, Path(folder)
    for name, make in (("exported", export), ("fused", lambda path, model: write(path, model, False)),
                       ("int8", lambda path, model: write(path, model, True))):
        path = folder / f"{name}.onnx"
        if path.exists():
            continue
        model = model or torch_models.load(folder)
        make(str(path) + ".partial", model)
        os.replace(str(path) + ".partial", path)


if __name__ == "__main__":
    write_all(sys.argv[1])
