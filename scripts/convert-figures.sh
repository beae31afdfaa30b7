#!/usr/bin/env bash
# How fast a checkpoint becomes a GGUF file, here and by llama.cpp's converter: 1.4 GB with gpt-oss-20b's widths in three
# layers, most of it MXFP4, made with a fixed seed; both read it from the page cache, in turn, three times.
#   convert-figures.sh BLOCQ CHECKPOINT_HELPER CONVERTER [DIRECTORY]
# CHECKPOINT_HELPER is the tests' cli_checkpoint, CONVERTER is convert_hf_to_gguf.py (Debian: package llama.cpp-tools).
# Python needs torch, safetensors and what the converter needs. The converter does not know the tokenizer of the test
# models, and is told how it cuts a text.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,7s/^# //p' "$0"; exit 2; }
blocq=$(realpath "$1") helper=$(realpath "$2") converter=$(realpath "$3")
work=${4:-$(mktemp -d)}
mkdir -p "$work"
[ $# -ge 4 ] || trap 'rm -rf "$work"' EXIT
cd "$work"
"$helper" gpt_oss mxfp4 small
python3 - <<'PYTHON'
import json
import os
import shutil
import torch
from safetensors.torch import save_file

config = json.load(open("small/config.json"))
width, hidden, experts, heads, kv, head, layers, words = 2880, 2880, 32, 64, 8, 64, 3, config["vocab_size"]
config |= {"hidden_size": width, "intermediate_size": hidden, "num_local_experts": experts, "num_attention_heads": heads,
           "num_key_value_heads": kv, "head_dim": head, "num_hidden_layers": layers, "num_experts_per_tok": 4,
           "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
random = torch.Generator().manual_seed(1)
floats = lambda *shape: (torch.randn(shape, generator=random) * 0.02).to(torch.bfloat16)
codes = lambda low, high, *shape: torch.randint(low, high, shape, generator=random, dtype=torch.uint8)
os.makedirs("large", exist_ok=True)
files = {}


def write(number, tensors):
    name = f"model-{number + 1:05}-of-{layers + 1:05}.safetensors"
    save_file(tensors, f"large/{name}")
    files.update({tensor: name for tensor in tensors})


for i in range(layers):
    layer = f"model.layers.{i}."
    tensors = {"input_layernorm.weight": floats(width), "post_attention_layernorm.weight": floats(width),
               "self_attn.sinks": floats(heads), "mlp.router.weight": floats(experts, width), "mlp.router.bias": floats(experts)}
    for part, rows, columns in (("q", heads * head, width), ("k", kv * head, width), ("v", kv * head, width), ("o", width, heads * head)):
        tensors |= {f"self_attn.{part}_proj.weight": floats(rows, columns), f"self_attn.{part}_proj.bias": floats(rows)}
    for part, rows, columns in (("gate_up_proj", 2 * hidden, width), ("down_proj", width, hidden)):
        tensors |= {f"mlp.experts.{part}_blocks": codes(0, 256, experts, rows, columns // 32, 16),
                    f"mlp.experts.{part}_scales": codes(110, 130, experts, rows, columns // 32),
                    f"mlp.experts.{part}_bias": floats(experts, rows)}
    write(i, {layer + name: tensor for name, tensor in tensors.items()})
write(layers, {"model.embed_tokens.weight": floats(words, width), "lm_head.weight": floats(words, width), "model.norm.weight": floats(width)})
json.dump({"metadata": {}, "weight_map": files}, open("large/model.safetensors.index.json", "w"))
json.dump(config, open("large/config.json", "w"))
for name in ("tokenizer.json", "tokenizer_config.json"):
    shutil.copy(f"small/{name}", f"large/{name}")
PYTHON
cat >converter.py <<'PYTHON'
import os
import runpy
import sys

os.environ["NO_LOCAL_GGUF"] = "1"  # the installed one
sys.path[1:1] = [os.path.dirname(sys.argv[1]), "/usr/share/llama.cpp/llama.cpp-tools"]
import conversion.base

for kind in vars(conversion.base).values():
    if isinstance(kind, type) and "get_vocab_base_pre" in vars(kind):
        kind.get_vocab_base_pre = lambda self, tokenizer: "gpt-4o"
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
PYTHON
cat >measure.py <<'PYTHON'
import resource
import subprocess
import sys
import time

start = time.time()
with open("log", "w") as log:
    result = subprocess.run(sys.argv[2:], stdout=log, stderr=log)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{sys.argv[1]:9} {time.time() - start:6.2f} s, {used.ru_utime + used.ru_stime:6.2f} s of processors, {used.ru_maxrss / 1024:.0f} MB")
sys.exit(result.returncode)
PYTHON
cat large/*.safetensors >/dev/null
for _ in 1 2 3; do
  rm -f ours.gguf theirs.gguf
  python3 measure.py blocq "$blocq" convert large ours.gguf || { tail -n 5 log >&2; exit 1; }
  python3 measure.py converter python3 converter.py "$converter" large --outfile theirs.gguf --outtype auto ||
    { tail -n 5 log >&2; exit 1; }
done
python3 - <<'PYTHON'
import numpy
from gguf import GGUFReader

ours, theirs = ({t.name: t for t in GGUFReader(f"{who}.gguf").tensors} for who in ("ours", "theirs"))
same = [n for n in theirs if n in ours and ours[n].tensor_type == theirs[n].tensor_type and numpy.array_equal(ours[n].data, theirs[n].data)]
print(f"{len(same)} of {len(theirs)} tensors have the same bytes, {len(ours)} here")
PYTHON
