#!/usr/bin/env python3
"""Makes the golden files in tests/golden/checkpoint: checkpoints of published layouts, and what the libraries that read
them make of them. Was run with torch 2.14.1, compressed-tensors 0.17.1, transformers 5.12.1 and safetensors 0.8.0:

  make_golden.py           makes them again and exits with 1 where a file differs from the one that is there
  make_golden.py --write   writes them

LAYOUT.safetensors holds the tensors, with config.json as the text "config"; LAYOUT.expected.safetensors has the weights
as the library gives them, in the type in which it does.
"""
import json
import os
import pathlib
import sys

golden = pathlib.Path(__file__).resolve().parent.parent / "golden" / "checkpoint"
os.environ["TORCHDYNAMO_DISABLE"] = "1"  # else a compiler is needed
try:
    import torch
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
    from compressed_tensors.entrypoints.convert.converters.autoawq import AutoAWQConverter
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from safetensors.torch import save
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)

shapes = {"a": (4, 64), "b": (6, 96), "c": (3, 160)}
random = torch.Generator().manual_seed(7)
files = {}


def normal(*shape):
    return torch.randn(shape, generator=random)


def integers(low, high, *shape):
    return torch.randint(low, high, shape, generator=random)


def emit(layout, tensors, expected, config):
    contiguous = lambda d: {k: v.contiguous().clone() for k, v in d.items()}
    files[f"{layout}.safetensors"] = save(contiguous(tensors), {"config": json.dumps(config)})
    files[f"{layout}.expected.safetensors"] = save(contiguous(expected))


def with_prefix(prefix, state):
    return {f"{prefix}.{k}": v for k, v in state.items()}


def compressed(layout, format, args, parameters):
    """Codes and scales by compressed-tensors' own compressor; parameters(w) gives what it needs beside the weight."""
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**args))
    compressor = BaseCompressor.get_value_from_registry(format)
    tensors, expected = {}, {}
    for name, shape in shapes.items():
        weight = normal(*shape).to(torch.bfloat16) * 0.3
        state = compressor.compress({"weight": weight, **parameters(weight)}, scheme)
        tensors |= with_prefix(name, state)
        expected[name] = compressor.decompress(dict(state), scheme)["weight"]
    weights = {k: v for k, v in args.items() if k != "scale_dtype"}
    config = {"quant_method": "compressed-tensors", "format": format, "config_groups": {"group_0": {"weights": weights}}}
    emit(layout, tensors, expected, {"quantization_config": config})


def group_scales(size, highest, dtype):
    def parameters(w):
        peak = w.float().reshape(w.shape[0], -1, size).abs().amax(-1)
        return {"weight_scale": (peak / highest).to(dtype)}

    return parameters


def power_scales(highest):
    def parameters(w):
        peak = w.float().reshape(w.shape[0], -1, 32).abs().amax(-1)
        return {"weight_scale": torch.exp2(torch.floor(torch.log2(peak / highest))).to(torch.bfloat16)}

    return parameters


def nvfp4_scales(w):
    peak = w.float().abs().amax()
    total = (448 * 6 / peak).reshape(1)
    group = w.float().reshape(w.shape[0], -1, 16).abs().amax(-1) / 6 * total
    return {"weight_scale": group.to(torch.float8_e4m3fn).float(), "weight_global_scale": total}


def integer_scales(size, bits, dtype, zeros):
    def parameters(w):
        columns = size or w.shape[1]
        rows = w.float().reshape(w.shape[0], -1, columns)
        if not zeros:
            return {"weight_scale": (rows.abs().amax(-1) / (2 ** (bits - 1) - 0.5)).to(dtype)}
        low, high = rows.amin(-1).clamp(max=0), rows.amax(-1).clamp(min=0)
        scale = ((high - low) / (2**bits - 1)).to(dtype)
        zero = (-(2 ** (bits - 1)) - low / scale.float()).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return {"weight_scale": scale, "weight_zero_point": zero.to(torch.int8)}

    return parameters


def integer_args(bits, size, symmetric):
    args = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group" if size else "channel"}
    return args | ({"group_size": size} if size else {})


float_args = {"type": "float", "symmetric": True}
compressed("mxfp4_compressed_tensors", "mxfp4-pack-quantized",
           {"num_bits": 4, **float_args, "strategy": "group", "group_size": 32, "scale_dtype": torch.uint8}, power_scales(4))
compressed("mxfp8_compressed_tensors", "mxfp8-quantized",
           {"num_bits": 8, **float_args, "strategy": "group", "group_size": 32, "scale_dtype": torch.uint8}, power_scales(256))
compressed("nvfp4_compressed_tensors", "nvfp4-pack-quantized",
           {"num_bits": 4, **float_args, "strategy": "tensor_group", "group_size": 16}, nvfp4_scales)
compressed("fp8_tensor", "float-quantized", {"num_bits": 8, **float_args, "strategy": "tensor"},
           lambda w: {"weight_scale": (w.float().abs().amax() / 448).reshape(1)})
compressed("fp8_channel", "float-quantized", {"num_bits": 8, **float_args, "strategy": "channel"},
           lambda w: {"weight_scale": (w.float().abs().amax(-1, keepdim=True) / 448).to(torch.bfloat16)})
compressed("int8_channel", "int-quantized", integer_args(8, 0, True), integer_scales(0, 8, torch.bfloat16, False))
for bits in range(2, 9):
    dtype = (torch.bfloat16, torch.float16, torch.float32)[bits % 3]
    compressed(f"packed_int{bits}", "pack-quantized", integer_args(bits, 32, True), integer_scales(32, bits, dtype, False))
compressed("packed_int4_zeros", "pack-quantized", integer_args(4, 32, False), integer_scales(32, 4, torch.float16, True))
compressed("packed_int3_zeros", "pack-quantized", integer_args(3, 32, False), integer_scales(32, 3, torch.bfloat16, True))

# gpt-oss: [experts, rows, columns / 32, 16] and transformers' reader, which transposes.
tensors, expected = {}, {}
for name, (rows, columns) in shapes.items():
    blocks = integers(0, 256, 2, rows * 2, columns // 32, 16).to(torch.uint8)
    scales = integers(100, 150, 2, rows * 2, columns // 32).to(torch.uint8)
    module = f"model.layers.0.mlp.experts.{name}.gate_up_proj"
    tensors |= {f"{module}_blocks": blocks, f"{module}_scales": scales}
    expected[module] = convert_moe_packed_tensors(blocks, scales).transpose(1, 2)
emit("mxfp4_gpt_oss", tensors, expected, {"quantization_config": {"quant_method": "mxfp4"}})

# DeepSeek-V4's I8 codes, FP8 in blocks and MXFP8 by transformers; 16 x 32 stands for 128 x 128.
reader = Fp8Dequantize(None)
tensors, expected = {}, {}
for name, (rows, columns) in shapes.items():
    codes = integers(-128, 128, rows, columns // 2).to(torch.int8)
    scales = integers(100, 150, rows, columns // 32).to(torch.uint8).view(torch.float8_e8m0fnu)
    tensors |= {f"{name}.weight": codes, f"{name}.scale": scales}
    expected[name] = reader._dequantize_one(codes, scales)
emit("mxfp4_deepseek", tensors, expected, {"quantization_config": {"quant_method": "fp8", "scale_fmt": "ue8m0"}})
tensors, expected = {}, {}
for name, (rows, columns) in {"a": (32, 64), "b": (16, 96), "c": (48, 32)}.items():
    codes = (normal(rows, columns) * 100).clamp(-448, 448).to(torch.float8_e4m3fn)
    scales = normal(rows // 16, columns // 32).abs() * 0.01 + 0.001
    tensors |= {f"{name}.weight": codes, f"{name}.weight_scale_inv": scales}
    expected[name] = reader._dequantize_one(codes, scales)
emit("fp8_block", tensors, expected, {"quantization_config": {"quant_method": "fp8", "weight_block_size": [16, 32]}})

# NVFP4 as ModelOpt stores it, plain and as a transposed stack of experts; its formula in torch.
e2m1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
tensors, expected = {}, {}
for name, (rows, columns) in shapes.items():
    packed = integers(0, 256, rows, columns // 2).to(torch.uint8)
    scales = (normal(rows, columns // 16).abs() * 50).clamp(max=448).to(torch.float8_e4m3fn)
    total = torch.tensor(0.0123 * rows)
    codes = torch.stack((packed & 15, packed >> 4), -1).reshape(rows, columns).long()
    expected[name] = e2m1[codes] * (scales.float() * total).repeat_interleave(16, 1)
    tensors |= {f"{name}.weight": packed, f"{name}.weight_scale": scales, f"{name}.weight_scale_2": total,
                f"{name}.input_scale": torch.tensor(0.5)}
    stacked = f"experts.{name}_proj"
    tensors |= {stacked: packed.t().reshape(1, columns // 2, rows), f"{stacked}_weight_scale_2": total,
                f"{stacked}_weight_scale": scales.t().reshape(1, columns // 16, rows)}
    expected[stacked] = expected[name].clone()
emit("nvfp4_modelopt", tensors, expected, {"quantization": {"quant_algo": "NVFP4", "group_size": 16}})

# AWQ: packed here, read by compressed-tensors' converter and decompressor. GPTQ: packed here, the formula in torch.
def words(codes, bits):
    """Codes along dimension 0 as a stream of bits in int32 words."""
    stream = (codes.long().unsqueeze(1) >> torch.arange(bits).reshape(1, bits, 1)) & 1
    stream = stream.reshape(-1, 32, codes.shape[1])
    packed = (stream << torch.arange(32).reshape(1, 32, 1)).sum(1)
    return torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)


tensors, expected = {}, {}
for name, (rows, columns) in {"a": (8, 64), "b": (16, 96), "c": (24, 160)}.items():
    codes, zeros = integers(0, 16, columns, rows), integers(0, 16, columns // 32, rows)
    scales = (normal(columns // 32, rows).abs() * 0.01 + 0.001).half()
    pack = lambda x: words(x.reshape(x.shape[0], -1, 8)[..., [0, 2, 4, 6, 1, 3, 5, 7]].reshape(x.shape).t(), 4).t().contiguous()
    tensors |= with_prefix(name, {"qweight": pack(codes), "qzeros": pack(zeros), "scales": scales})
    converted = AutoAWQConverter(group_size=32).process({f"{name}.{k}": tensors[f"{name}.{k}"] for k in ("qweight", "qzeros", "scales")})
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**integer_args(4, 32, False)))
    state = {k.removeprefix(f"{name}."): v for k, v in converted.items()}
    expected[name] = BaseCompressor.get_value_from_registry("pack-quantized").decompress(state, scheme)["weight"]
emit("awq", tensors, expected, {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}})
for bits in (2, 3, 4, 8):
    tensors, expected = {}, {}
    for name, (rows, columns) in {"a": (32, 64), "b": (64, 96)}.items():
        codes, zeros = integers(0, 2**bits, columns, rows), integers(1, 2**bits, columns // 32, rows)
        scales = (normal(columns // 32, rows).abs() * 0.01 + 0.001).half()
        g_idx = torch.arange(columns) // 32
        if name == "b":
            g_idx = g_idx[torch.randperm(columns, generator=random)]
        less = 1 if bits != 8 else 0  # 8 bits here in the second format
        tensors |= with_prefix(name, {"qweight": words(codes, bits), "qzeros": words((zeros - less).t(), bits).t(),
                                      "scales": scales, "g_idx": g_idx.to(torch.int32)})
        expected[name] = (scales[g_idx] * (codes - zeros[g_idx])).t()
    config = {"quant_method": "gptq", "bits": bits, "group_size": 32, "checkpoint_format": "gptq" if less else "gptq_v2"}
    emit(f"gptq{bits}", tensors, expected, {"quantization_config": config})


# MXFP6 as Quark packs it: 4 codes in 3 bytes, the first in the lowest bits.
def minifloats(exponent, mantissa):
    values = []
    for code in range(64):
        e, m = code >> mantissa & (2**exponent - 1), code & (2**mantissa - 1)
        bias = 2 ** (exponent - 1) - 1
        magnitude = 2.0 ** (max(e, 1) - bias) * (m / 2**mantissa + (e > 0))
        values.append(-magnitude if code >= 32 else magnitude)
    return torch.tensor(values)


for kind, table in (("e2m3", minifloats(2, 3)), ("e3m2", minifloats(3, 2))):
    tensors, expected = {}, {}
    for name, (rows, columns) in shapes.items():
        codes = integers(0, 64, rows, columns)
        scales = integers(100, 150, rows, columns // 32).to(torch.uint8)
        word = (codes.reshape(rows, -1, 4) << torch.tensor([0, 6, 12, 18])).sum(-1, keepdim=True)
        packed = (word >> torch.tensor([0, 8, 16]) & 255).reshape(rows, -1).to(torch.uint8)
        tensors |= {f"{name}.weight": packed, f"{name}.weight_scale": scales}
        expected[name] = (table[codes] * torch.exp2(scales.float() - 127).repeat_interleave(32, 1)).to(torch.bfloat16)
    spec = {"weight": {"dtype": f"fp6_{kind}", "qscheme": "per_group", "group_size": 32}}
    emit(f"mxfp6_{kind}", tensors, expected, {"quantization_config": {"quant_method": "quark", "global_quant_config": spec}})


# MatMulNBits: packed here from the lowest bits on, its formula in torch. Packed zeros, none, and zeros that are floats.
def bytes_of(codes, bits):
    """Codes along the last dimension in bytes, the last of which may have room."""
    per = 8 // bits
    padded = torch.nn.functional.pad(codes, (0, -codes.shape[-1] % per))
    shifts = torch.arange(per) * bits
    return (padded.reshape(*padded.shape[:-1], -1, per) << shifts).sum(-1).to(torch.uint8)


for bits in (2, 4, 8):
    tensors, expected = {}, {}
    for name, (rows, columns) in {"a": (4, 64), "b": (6, 96), "c": (3, 160)}.items():
        dtype = torch.float32 if name == "a" else torch.float16
        codes = integers(0, 2**bits, rows, columns // 32, 32)
        scales = (normal(rows, columns // 32).abs() * 0.01 + 0.001).to(dtype)
        zeros = integers(0, 2**bits, rows, columns // 32).float()
        module, part = (f"{name}.MatMul.", ("qweight", "scales", "qzeros")) if name != "c" else (
            f"{name}.MatMul.weight_", (f"Q{bits}", "scales", "zero_points"))
        tensors |= {module + part[0]: bytes_of(codes, bits), module + part[1]: scales.reshape(-1) if name == "a" else scales}
        if name == "a":
            zeros.fill_(2 ** (bits - 1))
        elif name == "b":
            tensors[module + part[2]] = bytes_of(zeros.long(), bits)
        else:
            zeros = (zeros + 0.25).to(dtype)
            tensors[module + part[2]] = zeros
        expected[f"{name}.MatMul"] = ((codes - zeros.float()[..., None]) * scales.float()[..., None]).reshape(rows, columns).to(dtype)
    emit(f"matmul_nbits{bits}", tensors, expected, {"quantization_config": {"bits": bits}})

# HQQ: its packing and its arithmetic, in the type of the computation.
for bits in (2, 3, 4, 8):
    tensors, expected = {}, {}
    for name, (rows, columns), axis in (("a", (8, 64), 1), ("b", (6, 64), 0), ("c", (4, 128), 1)):
        dtype = torch.bfloat16 if name == "c" else torch.float16
        group = 32 if name != "b" else 16
        lines, width = (rows * columns // group, group) if axis == 1 else (group, rows * columns // group)
        codes = integers(0, 2**bits, lines, width)
        shape = (lines, 1) if axis == 1 else (1, width)
        scale = (normal(*shape).abs() * 0.01 + 0.001).to(dtype)
        zero = (normal(*shape) + 2 ** (bits - 1)).to(dtype)
        if name == "a":
            zero.fill_(2 ** (bits - 1))
        sections = 10 if bits == 3 else 8 // bits
        padded = torch.nn.functional.pad(codes, (0, 0, 0, -lines % sections))
        shifts = (torch.arange(sections - 1, -1, -1) * bits).reshape(-1, 1, 1)
        packed = (padded.reshape(sections, -1, width) << shifts).sum(0).to(torch.int32 if bits == 3 else torch.uint8)
        text = lambda x: torch.tensor(list(x.encode()), dtype=torch.uint8)
        whole = lambda x: torch.tensor(x, dtype=torch.int32)
        flag = lambda x: torch.tensor(x, dtype=torch.uint8)
        tensors |= with_prefix(name, {
            "W_q": packed, "scale": scale, "zero": zero, "shape": torch.tensor([rows, columns]), "nbits": whole(bits),
            "axis": whole(axis), "compute_dtype": text(str(dtype))})
        if name == "a":  # all that there is
            tensors |= with_prefix(name, {
                "group_size": whole(group), "packing": text("3bit_32" if bits == 3 else f"{bits}bit_u8"),
                "unpack_view_dtype": text("torch.int32" if bits == 3 else "torch.uint8"), "view_as_float": flag(0),
                "quant_scale": flag(0), "quant_zero": flag(0), "offload_meta": flag(0), "encoded_state_dict": flag(1),
                "stores_quant_config": flag(1), "channel_wise": flag(1), "optimize": flag(1), "round_zero": flag(0)})
        expected[name] = ((codes.to(dtype) - zero) * scale).reshape(rows, columns)
    emit(f"hqq{bits}", tensors, expected, {"quantization_config": {"quant_method": "hqq"}})

different = [name for name, data in files.items() if not (golden / name).exists() or (golden / name).read_bytes() != data]
if "--write" in sys.argv:
    golden.mkdir(exist_ok=True)
    for name, data in files.items():
        (golden / name).write_bytes(data)
    sys.exit(0)
print(f"{len(files)} files, {len(different)} differ {' '.join(different)}")
sys.exit(1 if different else 0)
