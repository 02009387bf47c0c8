"""PyTorch's side of `make bench-peers`."""
from pathlib import Path

import torch
from torch.nn import functional as F

import safetensors
import sides
import torch_models


def inputs_of(folder):
    inputs = safetensors.Tensors(Path(folder) / "inputs.safetensors")
    return torch.from_numpy(inputs[next(iter(inputs))])


def inference(settings):
    torch.set_grad_enabled(False)
    model = torch_models.load(settings["folder"], fused=settings["variant"] == "fused").requires_grad_(False)
    whole = inputs_of(settings["folder"])
    if settings["precision"] == "bfloat16":
        model = model.bfloat16()
        whole = whole.bfloat16() if whole.is_floating_point() else whole
    elif settings["precision"] == "int8":
        torch.backends.quantized.engine = [e for e in ("fbgemm", "onednn", "qnnpack")
                                           if e in torch.backends.quantized.supported_engines][0]
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    return {f"batch-{n}": sides.row_of(lambda n=n: model(whole[:n]).float().numpy()) for n in settings["batches"]}


def training(settings):
    """A step as peers/training.cpp takes it: autocast, cross entropy, clipped gradients, AdamW."""
    fused = settings["variant"] == "fused"
    if fused and not torch_models.FUSED_FUNCTION:
        raise RuntimeError("PyTorch before 2.0 has no fused attention with a gradient")
    model, inputs = torch_models.load(settings["folder"], fused).train(), inputs_of(settings["folder"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.99), weight_decay=0.05)

    def gradients():
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs)
            labels = torch.arange(len(inputs)) if logits.dim() == 2 else inputs[:, 1:].flatten()
            logits = logits if logits.dim() == 2 else logits[:, :-1].flatten(0, 1)
            loss = F.cross_entropy(logits, labels)
        loss.backward()

    def step():
        gradients()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def gradient_of_positions():
        gradients()
        positions = model.positions.weight if hasattr(model.positions, "weight") else model.positions
        gradient = positions.grad.clone()
        optimizer.zero_grad(set_to_none=True)
        return gradient.numpy()

    sides.peak_megabytes(anew=True)
    return {"step": (sides.row_of(step)[0], gradient_of_positions), "memory": (sides.peak_megabytes, None)}


def load(settings):
    torch.set_num_threads(settings["threads"])
    return f"PyTorch {torch.__version__}", (training if settings["training"] else inference)(settings)


sides.serve(load)
