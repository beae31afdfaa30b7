#!/usr/bin/env bash
# compressed-tensors 0.17.1 (with torch 2.14.1): FP8 weights with one scale for each block of 128 x 128, and a matrix of 192
# rows, so that its last blocks are 64 rows high (DeepSeek-V3's kv_a_proj_with_mqa, of 576 rows, is of that kind).
#
# Expected: what was compressed with blocks of 128 rows is decompressed with blocks of 128 rows: rows 0 to 127 by the
# first scale, rows 128 to 191 by the second, and the weights (ones above, 64 below, both exact) come back.
# Seen: the height of a block is taken for rows / scales = 96, so rows 96 to 127 are multiplied by the second scale. Every
# weight there comes back 64 times too large, without an error or a warning; block_structure says 128 all the while.
#
# Exits with 0 while that is so. PYTHON=python3 uses what is installed instead of installing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q compressed-tensors==0.17.1 torch==2.14.1
  python=$work/venv/bin/python
fi
"$python" - <<'PYTHON'
import sys
import torch
import compressed_tensors
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

args = QuantizationArgs(num_bits=8, type="float", strategy="block", block_structure=[128, 128], symmetric=True)
scheme = QuantizationScheme(targets=["Linear"], weights=args)
weight = torch.ones(192, 256)
weight[128:] = 64
scale = torch.tensor([[1.0, 1.0], [64.0, 64.0]])
compressor = BaseCompressor.load_from_registry("float-quantized")
packed = compressor.compress({"weight": weight, "weight_scale": scale}, scheme)
back = compressor.decompress(dict(packed), scheme)["weight"].float()
print("compressed-tensors", compressed_tensors.__version__, "torch", torch.__version__)
print("codes of rows 0, 127, 128, 191:", [packed["weight"][r, 0].float().item() for r in (0, 127, 128, 191)])
rows = {r: back[r, 0].item() for r in (0, 95, 96, 127, 128, 191)}
print("decompressed:", rows)
sys.exit(0 if rows == {0: 1.0, 95: 1.0, 96: 64.0, 127: 64.0, 128: 64.0, 191: 64.0} else 1)
PYTHON
