// npm.mjs MODEL: what the model of llama.cpp says in node, forty tokens without chance.
import {getLlama, LlamaCompletion} from "node-llama-cpp";

const llama = await getLlama({gpu: false, build: "never", progressLogs: false, logLevel: "disabled"});
const model = await llama.loadModel({modelPath: process.argv[2]});
const context = await model.createContext({contextSize: 256, threads: 1});
const completion = new LlamaCompletion({contextSequence: context.getSequence()});
console.log(await completion.generateCompletion("Once there was", {maxTokens: 40, temperature: 0}));
process.exit(0);
