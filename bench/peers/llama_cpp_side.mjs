// llama.cpp's side of `make bench-peers`. It calls the prebuilt addon of node-llama-cpp itself, not the layers above
// it: what is timed is llama_decode() until its results are there, without sampling.
import fs from "node:fs";
import {createRequire} from "node:module";
import path from "node:path";

import {readTensors, serve} from "./side.mjs";

/** Contexts and batches of one model, in the addon's words. */
class Model {
  constructor(addon, model, threads) {
    this.addon = addon;
    this.model = model;
    this.threads = threads;
  }

  async context(sequences, length, flashAttention) {
    const context = new this.addon.AddonContext(this.model, {
      contextSize: sequences * length,
      batchSize: Math.max(512, sequences),
      sequences,
      flashAttention,
      threads: this.threads,
    });
    if (!await context.init()) throw new Error("llama.cpp made no context");
    return context;
  }

  /** Lets sequences 0, 1, ... read these tokens of theirs, the first of which stands at `position`.
   *  @return milliseconds, and for each sequence where the logits of its last token are */
  async read(context, position, tokens) {
    context.initBatch(tokens.length * tokens[0].length);
    const last = Uint32Array.of(tokens[0].length - 1);
    const logits = tokens.map((ids, sequence) => context.addToBatch(sequence, position, ids, last)[0]);
    const begin = performance.now();
    await context.decodeBatch();
    return {ms: performance.now() - begin, logits};
  }

  /** The logits at these places, one vocabulary after the other. */
  async numbers(context, places) {
    const sampler = new this.addon.AddonSampler(this.model);
    sampler.applyConfig({temperature: 0});
    const all = [];
    for (const place of places) {
      const pairs = (await context.sampleToken(place, sampler, false, false, true))[3];  // id, logit, id, logit, ...
      const logits = new Float32Array(pairs.length / 2);
      for (let i = 0; i < pairs.length; i += 2) logits[pairs[i]] = pairs[i + 1];
      all.push(...logits);
    }
    sampler.dispose();
    return Float32Array.from(all);
  }
}

function forget(context, sequences, from) {
  for (let sequence = 0; sequence < sequences; ++sequence) context.removeTokenCellsFromSequence(sequence, from, -1);
}

async function prefillRow(model, ids, flash) {
  const context = await model.context(1, ids.length, flash);
  const read = async () => {
    forget(context, 1, 0);
    return model.read(context, 0, [ids]);
  };
  return {measure: async () => (await read()).ms, output: async () => model.numbers(context, (await read()).logits)};
}

async function decodeRow(model, sequences, {context: begin, steps}, flash) {
  const context = await model.context(sequences.length, begin + steps, flash);
  for (let i = 0; i < sequences.length; ++i) {  // one by one: a batch holds 512 tokens
    context.initBatch(begin);
    context.addToBatch(i, 0, sequences[i].slice(0, begin), Uint32Array.of(begin - 1));
    await context.decodeBatch();
  }
  const run = async () => {
    forget(context, sequences.length, begin);
    let ms = 0, logits;
    for (let at = begin; at < begin + steps; ++at) {
      const step = await model.read(context, at, sequences.map(ids => ids.slice(at, at + 1)));
      ms += step.ms;
      logits = step.logits;
    }
    return {ms, logits};
  };
  return {measure: async () => (await run()).ms, output: async () => model.numbers(context, (await run()).logits)};
}

await serve(async settings => {
  const require = createRequire(path.join(settings.modules, "package.json"));
  const home = path.join(settings.modules, "node_modules/@node-llama-cpp/linux-x64");
  const bins = path.join(home, "bins/linux-x64");
  const addon = require(path.join(bins, "llama-addon.node"));
  addon.setLogger(() => {});
  addon.loadBackends(bins);
  await addon.init();
  const loaded = new addon.AddonModel(settings.model, {gpuLayers: 0, useMmap: true});
  if (!await loaded.init()) throw new Error(`llama.cpp does not load ${settings.model}`);
  const model = new Model(addon, loaded, settings.threads);
  const {ids} = readTensors(path.join(settings.folder, "inputs.safetensors"));
  const [count, length] = ids.shape, all = Uint32Array.from(new BigInt64Array(ids.bytes), Number);
  const sequences = Array.from({length: count}, (_, i) => all.slice(i * length, (i + 1) * length));
  const flash = settings.variant === "flash attention";
  const rows = {
    "prefill": await prefillRow(model, sequences[0], flash),
    "decode": await decodeRow(model, sequences.slice(0, 1), settings, flash),
    "decode-many": await decodeRow(model, sequences, settings, flash),
  };
  const build = JSON.parse(fs.readFileSync(path.join(bins, "_nlcBuildMetadata.json"))).buildOptions.llamaCpp.release;
  const version = JSON.parse(fs.readFileSync(path.join(home, "package.json"))).version;
  return {ready: `llama.cpp ${build} (node-llama-cpp ${version})`, rows};
});
