// ONNX Runtime's side of `make bench-peers`: a model that onnx_models.py wrote.
import {createRequire} from "node:module";
import path from "node:path";

import {readTensors, rowOf, serve} from "./side.mjs";

await serve(async settings => {
  const require = createRequire(path.join(settings.modules, "package.json"));
  const ort = require("onnxruntime-node");
  const session = await ort.InferenceSession.create(settings.model, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: settings.threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
  });
  const [[name, whole]] = Object.entries(readTensors(path.join(settings.folder, "inputs.safetensors")));
  const [numbers, type] = whole.dtype === "F32" ? [new Float32Array(whole.bytes), "float32"]
                                                : [new BigInt64Array(whole.bytes), "int64"];
  const each = numbers.length / whole.shape[0];
  const rows = {};
  for (const batch of settings.batches) {
    const feeds = {[name]: new ort.Tensor(type, numbers.slice(0, batch * each), [batch, ...whole.shape.slice(1)])};
    rows[`batch-${batch}`] = rowOf(async () => (await session.run(feeds)).output.data);
  }
  return {ready: `ONNX Runtime ${require("onnxruntime-node/package.json").version}`, rows};
});
