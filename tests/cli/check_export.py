#!/usr/bin/env python3
"""Does compressed-tensors make of an exported checkpoint what blocq makes of the GGUF file?

  check_export.py CHECKPOINT MODEL.gguf BLOCQ

Bit for bit; of layouts that it decodes to bfloat16, as rounded to that. For fp8 MODEL.gguf is not what was exported
but what was to be: then within half a step of E4M3.
"""
import json
import os
import struct
import subprocess
import sys

os.environ["TORCHDYNAMO_DISABLE"] = "1"
try:
    import torch
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig
    from safetensors.torch import load_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)

checkpoint, model, blocq = sys.argv[1:4]


def floats_of(path):
    """The F32 tensors of a GGUF file."""
    data = open(path, "rb").read()
    at = 8

    def take(format):
        nonlocal at
        value = struct.unpack_from("<" + format, data, at)
        at += struct.calcsize("<" + format)
        return value[0]

    def text():
        nonlocal at
        n = take("Q")
        at += n
        return data[at - n : at].decode()

    def skip(kind):
        nonlocal at
        if kind == 8:
            text()
        elif kind == 9:
            inner, n = take("I"), take("Q")
            for _ in range(n):
                skip(inner)
        else:
            at += (1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8)[kind]

    tensors, keys = take("Q"), take("Q")
    for _ in range(keys):
        text()
        skip(take("I"))
    found = {}
    for _ in range(tensors):
        name = text()
        dims = [take("Q") for _ in range(take("I"))]
        found[name] = (take("I"), dims, take("Q"))
    start = (at + 31) // 32 * 32
    result = {}
    for name, (kind, dims, offset) in found.items():
        if kind == 0:
            n = 1
            for d in dims:
                n *= d
            values = torch.frombuffer(bytearray(data[start + offset : start + offset + 4 * n]), dtype=torch.float32)
            result[name] = values.reshape(dims[::-1])
    return result


subprocess.run([blocq, "quantize", model, model + ".f32", "--type", "f32"], check=True, stdout=subprocess.DEVNULL)
expected = floats_of(model + ".f32")
config = json.load(open(f"{checkpoint}/config.json"))["quantization_config"]
scheme = QuantizationConfig.model_validate(config).config_groups["group_0"]
compressor = BaseCompressor.get_value_from_registry(config["format"])
tensors = load_file(f"{checkpoint}/model.safetensors")
codes = ".weight" if config["format"] == "float-quantized" else ".weight_packed"
checked = 0
for name in tensors:
    module = name[: -len(codes)]
    if not name.endswith(codes) or f"{module}.weight_scale" not in tensors:
        continue
    state = {k[len(module) + 1 :]: v for k, v in tensors.items() if k.startswith(module + ".")}
    theirs = compressor.decompress(state, scheme)["weight"]
    ours = expected[module + ".weight"]
    if config["format"] == "float-quantized":
        step = ours.abs().amax(-1, keepdim=True) / 448
        off = (theirs.float() - ours).abs() > torch.maximum(ours.abs() / 16, step * 2.0**-10) * 1.001
    elif config["format"] == "nvfp4-pack-quantized":  # a quotient and a product, each rounded
        off = (theirs.float() - ours).abs() > ours.abs() * (2.0**-8 if theirs.dtype == torch.bfloat16 else 2.0**-22)
    else:
        off = theirs != ours.to(theirs.dtype)
    if off.any():
        sys.exit(f"{module}: {int(off.sum())} of {off.numel()} weights are others ({theirs.dtype})")
    checked += 1
print(f"{checkpoint}: {checked} matrices as compressed-tensors reads them, {theirs.dtype}")
sys.exit(0 if checked else 1)
