#!/usr/bin/env python3
"""Makes llama models out of examples/data/story.gguf, with nothing but Python:

    make_model.py moe story.gguf moe.gguf        four experts in each layer, two for a token: the model's own, disturbed
    make_model.py large story.gguf large.gguf    random weights in the size of a small real model, to measure speed with
    make_model.py large-moe ...                  the same with eight experts, two for a token
"""
import array
import math
import random
import struct
import sys

F32, F16 = 0, 1
UINT32, STRING, ARRAY = 4, 8, 9
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


class Reader:
    """A GGUF file: `values` has what the metadata are in bytes, `tensors` (shape, type, bytes)."""

    def __init__(self, path):
        self.bytes, self.at = open(path, "rb").read(), 4
        version, tensors, values = self.take("<IQQ")
        assert self.bytes[:4] == b"GGUF" and version == 3
        self.values = {self.string(): self.value() for _ in range(values)}
        found = []
        for _ in range(tensors):
            name, (dims,) = self.string(), self.take("<I")
            found.append((name, self.take(f"<{dims}Q"), *self.take("<IQ")))
        start = -(-self.at // 32) * 32
        self.tensors = {}
        for name, shape, kind, offset in found:
            size = {F32: 4, F16: 2}[kind] * math.prod(shape)
            self.tensors[name] = shape, kind, self.bytes[start + offset:start + offset + size]

    def take(self, format):
        values = struct.unpack_from(format, self.bytes, self.at)
        self.at += struct.calcsize(format)
        return values

    def string(self):
        (size,) = self.take("<Q")
        self.at += size
        return self.bytes[self.at - size:self.at].decode()

    def value(self):
        start = self.at
        (kind,) = self.take("<I")
        self.skip(kind)
        return self.bytes[start:self.at]

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            kind, count = self.take("<IQ")
            for _ in range(count):
                self.skip(kind)
        else:
            self.at += SIZES[kind]


def string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def write(path, values, tensors):
    """tensors: name -> (shape, type, bytes or a function that makes them)"""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values))
    head += b"".join(string(key) + value for key, value in values.items())
    offset = 0
    for name, (shape, kind, _) in tensors.items():
        head += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        size = {F32: 4, F16: 2}[kind] * math.prod(shape)
        offset += -(-size // 32) * 32
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32))
        for _, _, data in tensors.values():
            data = data() if callable(data) else data
            file.write(data + bytes(-len(data) % 32))


def number(value):
    return struct.pack("<II", UINT32, value)


def make_moe(model, path):
    experts, used = 4, 2
    chance = random.Random(1)
    values = dict(model.values)
    values["llama.expert_count"], values["llama.expert_used_count"] = number(experts), number(used)
    tensors = {}
    for name, (shape, kind, data) in model.tensors.items():
        if "ffn_" not in name or "norm" in name:
            tensors[name] = shape, kind, data
            continue
        weights = struct.unpack(f"<{len(data) // 2}e", data)
        copies = b""
        for _ in range(experts):
            # What an expert does differently shows in what the model says.
            factors = [1 + chance.gauss(0, 0.6) for _ in range(1009)]
            copies += struct.pack(f"<{len(weights)}e", *(w * factors[i % 1009] for i, w in enumerate(weights)))
        tensors[name.replace(".weight", "_exps.weight")] = (*shape, experts), kind, copies
        if "ffn_gate" in name:
            router = array.array("f", (chance.gauss(0, 0.3) for _ in range(shape[0] * experts)))
            tensors[name.replace("ffn_gate", "ffn_gate_inp")] = (shape[0], experts), F32, router.tobytes()
    write(path, values, tensors)


def make_large(model, path, experts=0):
    width, layers, heads, kv_heads = 1024, 20, 16, 8
    hidden = 1536 if experts else 3072
    chance = random.Random(2)
    values = dict(model.values)
    for key, value in (("embedding_length", width), ("feed_forward_length", hidden), ("block_count", layers),
                       ("attention.head_count", heads), ("attention.head_count_kv", kv_heads),
                       ("rope.dimension_count", width // heads), ("context_length", 4096)):
        values["llama." + key] = number(value)
    if experts:
        values["llama.expert_count"], values["llama.expert_used_count"] = number(experts), number(2)
    pool = struct.pack("<65521e", *(chance.gauss(0, 0.03) for _ in range(65521)))

    def matrix(*shape):
        size = 2 * math.prod(shape)
        return shape, F16, lambda: (pool * (size // len(pool) + 1))[:size]

    norm = (width,), F32, struct.pack("<f", 1) * width
    vocabulary = model.tensors["token_embd.weight"][0][1]
    tensors = {"token_embd.weight": matrix(width, vocabulary), "output.weight": matrix(width, vocabulary),
               "output_norm.weight": norm}
    for i in range(layers):
        of_layer = {"attn_norm": norm, "ffn_norm": norm, "attn_q": matrix(width, width),
                    "attn_k": matrix(width, width // heads * kv_heads), "attn_v": matrix(width, width // heads * kv_heads),
                    "attn_output": matrix(width, width)}
        if experts:
            router = struct.pack(f"<{width * experts}f", *(chance.gauss(0, 0.1) for _ in range(width * experts)))
            of_layer.update({"ffn_gate_inp": ((width, experts), F32, router),
                             "ffn_gate_exps": matrix(width, hidden, experts),
                             "ffn_up_exps": matrix(width, hidden, experts),
                             "ffn_down_exps": matrix(hidden, width, experts)})
        else:
            of_layer.update({"ffn_gate": matrix(width, hidden), "ffn_up": matrix(width, hidden),
                             "ffn_down": matrix(hidden, width)})
        tensors.update({f"blk.{i}.{name}.weight": tensor for name, tensor in of_layer.items()})
    write(path, values, tensors)


if __name__ == "__main__":
    make = {"moe": make_moe, "large": make_large, "large-moe": lambda *files: make_large(*files, experts=8)}
    if len(sys.argv) != 4 or sys.argv[1] not in make:
        sys.exit(__doc__)
    make[sys.argv[1]](Reader(sys.argv[2]), sys.argv[3])
