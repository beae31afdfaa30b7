#!/usr/bin/env python3
"""Made demo.gguf, once: the token embedding and one decoder layer of a llama-architecture GGUF in F32, matrices
rounded to F16. Usage: make_demo.py MODEL-F32.gguf demo.gguf"""
import struct
import sys

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
F32, F16, ALIGNMENT = 0, 1, 32
KEPT = ("llama.", "general.architecture", "general.quantization_version")


def read(path):
    data = open(path, "rb").read()
    at = 4

    def take(fmt):
        nonlocal at
        value, = struct.unpack_from("<" + fmt, data, at)
        at += struct.calcsize("<" + fmt)
        return value

    def text():
        nonlocal at
        size = take("Q")
        at += size
        return data[at - size:at].decode()

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            element = take("I")
            return [value(element) for _ in range(take("Q"))]
        return take(SCALARS[kind])

    assert data[:4] == b"GGUF" and take("I") in (2, 3)
    tensor_count, key_count = take("Q"), take("Q")
    metadata = {}
    for _ in range(key_count):
        key, kind = text(), take("I")
        metadata[key] = (kind, value(kind))
    tensors = {}
    for _ in range(tensor_count):
        name = text()
        shape = [take("Q") for _ in range(take("I"))]
        assert take("I") == F32
        tensors[name] = (shape, take("Q"))
    start = -(-at // ALIGNMENT) * ALIGNMENT
    return data[start:], metadata, tensors


def main(source, target):
    data, metadata, tensors = read(source)
    metadata = {k: v for k, v in metadata.items() if k.startswith(KEPT)}
    metadata["llama.block_count"] = (4, 1)
    metadata["general.file_type"] = (4, 1)  # mostly F16
    metadata["general.name"] = (8, "blocq demo")
    metadata["general.description"] = (8, "token embedding and one decoder layer of a small language model; weights "
                                          "to measure on, not a model to run")
    metadata["general.license"] = (8, "mit")

    def text(s):
        return struct.pack("<Q", len(s.encode())) + s.encode()

    header, blobs, offset = b"", b"", 0
    names = [n for n in tensors if n == "token_embd.weight" or n.startswith("blk.0.")]
    for name in names:
        shape, begin = tensors[name]
        count = 1
        for dim in shape:
            count *= dim
        values = struct.unpack_from(f"<{count}f", data, begin)
        kind = F16 if len(shape) > 1 else F32
        blob = struct.pack(f"<{count}{'e' if kind == F16 else 'f'}", *values)
        header += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        blob += bytes(-len(blob) % ALIGNMENT)
        blobs, offset = blobs + blob, offset + len(blob)
    front = struct.pack("<4sIQQ", b"GGUF", 3, len(names), len(metadata))
    for key in sorted(metadata):
        kind, value = metadata[key]
        front += text(key) + struct.pack("<I", kind)
        front += text(value) if kind == 8 else struct.pack("<" + SCALARS[kind], value)
    front += header
    open(target, "wb").write(front + bytes(-len(front) % ALIGNMENT) + blobs)


main(*sys.argv[1:])
