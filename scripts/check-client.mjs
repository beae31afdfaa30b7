// check-client.mjs TEXT FILE...: see check-client.sh. TEXT may be empty.
import {readFileSync} from "node:fs";
import {basename} from "node:path";
import {ggufAllShards, GGMLQuantizationType} from "@huggingface/gguf";
import {getLlama} from "node-llama-cpp";

const [text, ...files] = process.argv.slice(2);
const size = 256, windows = 40;

async function perplexity(model) {
  const bos = model.tokens.bos;
  // A token is at most a few bytes on average; tokenizing a whole book would take longer than the rest.
  const tokens = [bos, ...model.tokenize(readFileSync(text, "utf8").slice(0, size * windows * 8))];
  const context = await model.createContext({contextSize: size, batchSize: size, sequences: 1, threads: 1});
  const sequence = context.getSequence();
  let sum = 0, count = 0;
  for (let w = 0; w < windows && (w + 1) * size <= tokens.length; ++w) {
    const window = tokens.slice(w * size, (w + 1) * size);
    window[0] = bos;
    const scored = (i) => i >= size / 2 && i < size - 1;
    await sequence.clearHistory();
    const out = await sequence.controlledEvaluate(
      window.map((token, i) => scored(i) ? [token, {generateNext: {probabilities: true}}] : token));
    for (let i = 0; i < size; ++i) {
      if (!scored(i)) continue;
      sum -= Math.log(out[i].next.probabilities.get(window[i + 1]));
      ++count;
    }
  }
  await context.dispose();
  return `perplexity ${Math.exp(sum / count).toFixed(4)} over ${count} tokens`;
}

const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logLevel: "disabled"});
let runs, failed = false;  // a file of weights that is no model the client knows can only be read
for (const file of files) {
  const {parameterCount, shards} = await ggufAllShards(file, {allowLocalFile: true});
  const types = {};
  for (const {dtype} of shards[0].tensorInfos) {
    const name = GGMLQuantizationType[dtype] ?? `type ${dtype}`;
    types[name] = (types[name] ?? 0) + 1;
  }
  const found = Object.entries(types).map(([type, n]) => `${n} ${type}`).join(", ");
  let verdict;
  try {
    const model = await llama.loadModel({modelPath: file});
    verdict = text ? await perplexity(model) : "loaded";
    await model.dispose();
    runs ??= true;
  } catch (error) {
    runs ??= false;
    failed ||= runs;
    verdict = runs ? `NOT LOADED: ${error.message}` : "read; not a model that the client runs";
  }
  console.log(`${basename(file).padEnd(28)} ${String(parameterCount).padStart(10)} weights (${found}): ${verdict}`);
}
process.exit(failed ? 1 : 0);
