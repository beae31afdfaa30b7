#!/usr/bin/env python3
"""Asks llama-quantize which type it gives to each tensor of the models that tests/golden/mixes.txt describes, in every
file type, with and without importance weights, and writes the answers below each model, in place of those there:

    scripts/mix-table.py [LLAMA-QUANTIZE [TABLE]]

The models' files are made in a temporary directory and have no data to speak of, since only --dry-run looks at them.
tests/golden/README.txt says how the table is written. Debian's package llama.cpp-tools has the program."""
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "llama-quantize"
TABLE = Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parent.parent / "tests/golden/mixes.txt")

# File types, and what a matrix gets of which they say nothing.
TYPES = {name: name for name in """q1_0 q2_0 q4_0 q4_1 q5_0 q5_1 iq2_xxs iq2_xs iq1_s iq1_m tq1_0 tq2_0 q2_k iq3_xxs
         iq3_s iq4_nl iq4_xs q6_k q8_0 f16 bf16 f32 mxfp4""".split()}
TYPES |= {"iq2_s": "iq2_xs", "iq2_m": "iq2_s", "q2_k_s": "q2_k", "iq3_xs": "iq3_s", "iq3_m": "iq3_s", "q3_k_s": "q3_k",
          "q3_k_m": "q3_k", "q3_k_l": "q3_k", "q4_k_s": "q4_k", "q4_k_m": "q4_k", "q5_k_s": "q5_k", "q5_k_m": "q5_k"}

# What models of one architecture or another cannot be without, and no type depends on.
COMMON = dict(kv.split("=") for kv in """context_length=512 embedding_length=256 feed_forward_length=256 vocab_size=64
attention.layer_norm_rms_epsilon=1e-5 attention.layer_norm_epsilon=1e-5 attention.sliding_window=4
attention.relative_buckets_count=4 attention.q_lora_rank=4 attention.kv_lora_rank=4 attention.key_length_mla=4
attention.value_length_mla=4 attention.indexer.head_count=4 attention.indexer.key_length=4 attention.indexer.top_k=4
attention.indexer.kpool=4 attention.decay_lora_rank=4 attention.iclr_lora_rank=4
attention.value_residual_mix_lora_rank=4 expert_feed_forward_length=4 expert_shared_count=1 expert_gating_func=2
leading_dense_block_count=1 ssm.conv_kernel=4 ssm.inner_size=4 ssm.state_size=4 ssm.time_step_rank=4 ssm.group_count=4
kda.head_dim=4 kda.gate_lower_bound=-1.0 wkv.head_size=4 time_mix_extra_dim=4 time_decay_extra_dim=4 shortconv.l_cache=4
hyper_connection.count=4 hyper_connection.sinkhorn_iterations=4 hyper_connection.epsilon=1e-5
rope.dimension_sections=[4*1i]""".split())


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


# Kinds of metadata values: the numbers of GGUF.
def scalar(s):
    if s in ("true", "false"):
        return 7, struct.pack("<?", s == "true")
    if re.fullmatch(r"-?\d+i", s):
        return 5, struct.pack("<i", int(s[:-1]))
    if re.fullmatch(r"\d+", s):
        return 4, struct.pack("<I", int(s))
    try:
        return 6, struct.pack("<f", float(s))
    except ValueError:
        return 8, text(s)


def metadata(key, value):
    if not value.startswith("["):
        kind, data = scalar(value)
        return text(key) + struct.pack("<I", kind) + data
    elements = []
    for part in value[1:-1].split(","):
        times, _, element = part.rpartition("*")
        elements += [scalar(element)] * int(times or 1)
    return text(key) + struct.pack("<IIQ", 9, elements[0][0], len(elements)) + b"".join(data for _, data in elements)


def numbers(ranges):
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def tensors_of(spec):
    """The tensors that NAME:SHAPE stands for, by the numbers in its braces; None where there are none."""
    name, _, shape = spec.partition(":")
    dims = [int(d) for d in (shape or "256x32").split("x")]
    name = name[1:] if name.startswith("=") else name + ".weight"
    braces = re.search(r"\{(.*?)\}", name)
    if braces is None:
        return {None: name}, dims
    return {n: name.replace(braces[0], str(n)) for n in numbers(braces[1])}, dims


def write_gguf(path, keys, tensors, data=b""):
    """Tensors without data where `data` is empty: the file has the size and nothing else."""
    records, offset = b"", 0
    for name, dims in tensors:
        records += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, offset)
        size = 4
        for d in dims:
            size *= d
        offset += -(-size // 32) * 32
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(metadata(*kv) for kv in keys) + records
    head += b"\0" * (-len(head) % 32)
    with open(path, "wb") as f:
        f.write(head + data)
        f.truncate(len(head) + offset)


LINE = re.compile(r"\[ *\d+/ *\d+\] (\S+) +- \[[^]]*\], type = +(\w+), size = .*?MiB(?: -> .*\((\w+)\))?$", re.M)


def ask(options, model, file_type):
    name = "mxfp4_moe" if file_type == "mxfp4" else file_type
    run = subprocess.run([PROGRAM, "--dry-run", *options, model, name], capture_output=True, text=True)
    said = run.stdout + run.stderr
    if run.returncode == 0:
        return {name: (new or old).lower() for name, old, new in LINE.findall(said)}, said
    # No fallback for rows of this length, or a model of which it knows too little.
    if "no tensor type fallback" in said or run.returncode < 0:
        return None, said
    sys.exit(f"{file_type}: {said}")


def ranges_text(ns):
    runs = []
    for n in ns:
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def label(spec):
    return re.sub(r"^blk\.\{.*?\}\.", "", spec.partition(":")[0])


def answer(specs, types, default):
    """What has another type than the default: NAMES=TYPE@NUMBERS+TYPE@NUMBERS, without numbers where it is all."""
    groups = {}
    for spec in specs:
        by_type = {}
        for n, name in tensors_of(spec)[0].items():
            by_type.setdefault(types[name], []).append(n)
        parts = [t + ("" if len(by_type) == 1 else "@" + ranges_text(ns)) for t, ns in by_type.items() if t != default]
        if parts:
            groups.setdefault("+".join(parts), []).append(label(spec))
    return " ".join(",".join(labels) + "=" + parts for parts, labels in groups.items())


def main():
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith(("#", "model ", "tensors "))]
    version = None
    with tempfile.TemporaryDirectory() as directory:
        model, importance = f"{directory}/model.gguf", f"{directory}/importance.gguf"
        keys = [("general.type", "imatrix"), ("imatrix.datasets", "[text]"), ("imatrix.chunk_count", "1"),
                ("imatrix.chunk_size", "512")]
        tensors = [("any.weight.in_sum2", [8]), ("any.weight.counts", [1])]
        write_gguf(importance, keys, tensors, struct.pack("<16f", *[1] * 16))
        out = []
        while lines:
            line = lines.pop(0)
            if line.startswith("#"):
                out.append(line)
                continue
            out.append(line)
            _, _, architecture, *keys = line.split()
            specs = []
            while lines and lines[0].startswith("tensors "):
                out.append(lines.pop(0))
                specs += out[-1].split()[1:]
            tensors = []
            for spec in specs:
                names, dims = tensors_of(spec)
                tensors += [(name, dims) for name in names.values()]
            keys = COMMON | dict(kv.split("=", 1) for kv in keys)
            if "expert_count" in keys:
                keys["expert_used_count"] = "1"
            write_gguf(model, [("general.architecture", architecture)] +
                       [(architecture + "." + key, value) for key, value in keys.items()], tensors)
            untouched, _ = ask([], model, "q4_1")
            kept = [spec for spec in specs if {untouched[name] for name in tensors_of(spec)[0].values()} == {"f32"}]
            if kept:
                out.append("kept " + ",".join(map(label, kept)))
            specs = [spec for spec in specs if spec not in kept]
            answers = {}
            for file_type, default in TYPES.items():
                plain, said = ask([], model, file_type)
                version = re.search(r"^version: (\S+)", said, re.M)
                if plain is None:
                    answers.setdefault("refused", []).append(file_type)
                    continue
                if len(plain) != len(tensors) or answer(kept, plain, "f32"):
                    sys.exit(f"{line}: {file_type}: {said}")
                answers.setdefault(answer(specs, plain, default), []).append(file_type)
                weighted, _ = ask(["--imatrix", importance], model, file_type)
                if weighted != plain:
                    answers.setdefault(answer(specs, weighted, default), []).append(file_type + "+")
            out += [(",".join(file_types) + " " + said).rstrip() for said, file_types in answers.items()]
    head = f"# llama-quantize {version[1] if version else '?'}; made by scripts/mix-table.py, see README.txt"
    TABLE.write_text("\n".join([head, *out[out[0].startswith("# llama-quantize"):]]) + "\n")


main()
