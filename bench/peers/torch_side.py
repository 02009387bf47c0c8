"""PyTorch's side of `make bench-peers`."""
from pathlib import Path

import torch

import safetensors
import sides
import torch_models


def load(settings):
    torch.set_num_threads(settings["threads"])
    torch.set_grad_enabled(False)
    model = torch_models.load(settings["folder"], fused=settings["variant"] == "fused")
    inputs = safetensors.Tensors(Path(settings["folder"]) / "inputs.safetensors")
    whole = torch.from_numpy(inputs[next(iter(inputs))])
    if settings["precision"] == "bfloat16":
        model = model.bfloat16()
        whole = whole.bfloat16() if whole.is_floating_point() else whole
    elif settings["precision"] == "int8":
        torch.backends.quantized.engine = [e for e in ("fbgemm", "onednn", "qnnpack")
                                           if e in torch.backends.quantized.supported_engines][0]
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    rows = {f"batch-{n}": sides.row_of(lambda n=n: model(whole[:n]).float().numpy()) for n in settings["batches"]}
    return f"PyTorch {torch.__version__}", rows


sides.serve(load)
