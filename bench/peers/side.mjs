// What the sides in JavaScript share: files of tensors, and the protocol of sides.py.
import fs from "node:fs";
import readline from "node:readline";

/** The tensors of a safetensors file: name -> {dtype, shape, bytes}. */
export function readTensors(path) {
  const file = fs.readFileSync(path);
  const begin = 8 + Number(file.readBigUInt64LE(0));
  const tensors = {};
  for (const [name, entry] of Object.entries(JSON.parse(file.subarray(8, begin)))) {
    const [from, to] = entry.data_offsets;
    const bytes = new Uint8Array(file.subarray(begin + from, begin + to));  // a copy: aligned
    tensors[name] = {dtype: entry.dtype, shape: entry.shape, bytes: bytes.buffer};
  }
  return tensors;
}

function say(line) {
  fs.writeSync(1, JSON.stringify(line) + "\n");
}

async function answer(rows, request) {
  const row = rows[request.row];
  if (!row) throw new Error(`there is no row ${request.row}`);
  if (request.output) {
    fs.writeFileSync(request.output, new Uint8Array((await row.output()).buffer));
    return {written: request.output};
  }
  const values = [];
  for (let i = 0; i < request.runs; ++i) values.push(await row.measure());
  return {values};
}

/** A row that is one call; its result, a Float32Array, is the output. */
export function rowOf(run) {
  const measure = async () => {
    const begin = performance.now();
    await run();
    return performance.now() - begin;
  };
  return {measure, output: run};
}

/** @param load  settings -> {ready: name and version, rows: name -> {measure(): ms, output(): Float32Array}} */
export async function serve(load) {
  try {
    const {ready, rows} = await load(JSON.parse(process.argv[2]));
    say({ready});
    for await (const line of readline.createInterface({input: process.stdin})) say(await answer(rows, JSON.parse(line)));
    process.exit(0);
  } catch (error) {
    say({error: String(error?.message ?? error)});
    process.exit(1);
  }
}
