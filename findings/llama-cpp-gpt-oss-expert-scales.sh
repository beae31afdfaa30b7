#!/usr/bin/env bash
# llama.cpp 0.7.0 with ggml 0.27.0 (Debian sid): NVFP4 matrices in a GGUF file may have a scale for the whole matrix in a
# tensor of its own, "blk.N.ffn_up_exps.scale" beside "blk.N.ffn_up_exps.weight", one number for each expert.
#
# Expected: a model that has 4 in these scales gives what it gives with every scale of a group times 4 and none of these
# tensors, in every architecture that loads them.
# Seen: so it is in qwen3moe. A gpt-oss model loads with these tensors, without an error or a warning, and gives what it
# gives without them: its experts' weights are off by the factor.
#
# Exits with 0 while that is so. LLAMA_PERPLEXITY=llama-perplexity and PYTHON=python3 use what is installed (with numpy)
# instead of installing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
perplexity=${LLAMA_PERPLEXITY:-}
[ -n "$perplexity" ] || perplexity=$("$(dirname "$0")/../scripts/fetch-llama.sh" "$work/llama")/llama-perplexity
python=${PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q numpy==2.3.4
  python=$work/venv/bin/python
fi
"$python" - "$work" <<'PYTHON'
import struct
import sys
import numpy as np


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if isinstance(v[0], str):
        return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(text, v))
    return struct.pack("<IIQ", 9, 5, len(v)) + struct.pack(f"<{len(v)}i", *v)


def write(path, keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text(k) + value(v) for k, v in keys.items())
    data = b""
    for name, dims, kind, content in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += content + bytes(-len(content) % 32)
    open(path, "wb").write(head + bytes(-len(head) % 32) + data)


def model(arch, group_scale, scale):
    random = np.random.default_rng(1)
    oss, width, experts, heads, kv, head, tokens = arch == "gpt-oss", 64, 4, 4, 2, 16, 260
    f32 = lambda name, *dims, by=0.2, at=0.0: (name, dims, 0, (random.normal(0, by, dims[::-1]) + at).astype("<f4").tobytes())
    tensors = [f32("token_embd.weight", width, tokens, by=1), f32("output_norm.weight", width, at=1), f32("output.weight", width, tokens)]
    for part, rows in (("q", heads * head), ("k", kv * head), ("v", kv * head)):
        tensors.append(f32(f"blk.0.attn_{part}.weight", width, rows))
        tensors += [f32(f"blk.0.attn_{part}.bias", rows)] if oss else [f32(f"blk.0.attn_{part}_norm.weight", head, at=1)] if part != "v" else []
    tensors += [f32("blk.0.attn_output.weight", heads * head, width), f32("blk.0.attn_norm.weight", width, at=1),
                f32(f"blk.0.{'post_attention' if oss else 'ffn'}_norm.weight", width, at=1), f32("blk.0.ffn_gate_inp.weight", width, experts)]
    for part in ("gate", "up", "down"):
        blocks = random.integers(0, 256, (experts * width, 36), dtype=np.uint8)
        blocks[:, :4] = group_scale  # E4M3: 0x38 is 1, 0x48 is 4
        tensors.append((f"blk.0.ffn_{part}_exps.weight", (width, width, experts), 40, blocks.tobytes()))
        if scale is not None:
            tensors.append((f"blk.0.ffn_{part}_exps.scale", (experts,), 0, np.full(experts, scale, "<f4").tobytes()))
        if oss:
            tensors.append(f32(f"blk.0.ffn_{part}_exps.bias", width, experts))
    if oss:
        tensors += [f32("blk.0.attn_output.bias", width), f32("blk.0.ffn_gate_inp.bias", experts), f32("blk.0.attn_sinks.weight", heads)]
    keys = {"general.architecture": arch, "general.file_type": 39}
    keys |= {f"{arch}.{k}": v for k, v in {
        "block_count": 1, "context_length": 512, "embedding_length": width, "feed_forward_length": width,
        "attention.head_count": heads, "attention.head_count_kv": kv, "attention.key_length": head, "attention.value_length": head,
        "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": 10000.0, "expert_count": experts, "expert_used_count": 2,
        "expert_feed_forward_length": width, "attention.sliding_window": 128}.items()}
    letters = [i for i in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters = [chr(i) for i in letters] + [chr(256 + i) for i in range(256 - len(letters))]
    words = letters + ["he", "in", "<s>", "</s>"]
    keys |= {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": words,
             "tokenizer.ggml.token_type": [1] * (tokens - 2) + [3, 3], "tokenizer.ggml.merges": ["h e", "i n"],
             "tokenizer.ggml.bos_token_id": tokens - 2, "tokenizer.ggml.eos_token_id": tokens - 1}
    return keys, tensors


for arch in ("gpt-oss", "qwen3moe"):
    for name, how in {"none": (0x38, None), "tensor": (0x38, 4.0), "groups": (0x48, None)}.items():
        write(f"{sys.argv[1]}/{arch}.{name}.gguf", *model(arch, *how))
open(f"{sys.argv[1]}/text", "w").write("the rain in the hills then went on and on, for a week or so. " * 8)
PYTHON
"$perplexity" --version 2>&1 | grep -m 1 version || true
of() {
  "$perplexity" -m "$work/$1.gguf" -f "$work/text" -c 64 --chunks 2 -t 1 2>&1 | sed -n 's/.*Final estimate: PPL = \([0-9.]*\).*/\1/p'
}
result=0
for arch in gpt-oss qwen3moe; do
  none=$(of $arch.none) tensor=$(of $arch.tensor) groups=$(of $arch.groups)
  echo "$arch: perplexity without a factor ${none:--}, with 4 in the tensor ${tensor:--}, with 4 in the groups ${groups:--}"
  same=$none
  [ $arch = gpt-oss ] || same=$groups
  [ -n "$tensor" ] && [ "$tensor" = "$same" ] && [ "$none" != "$groups" ] || result=1
done
exit $result
