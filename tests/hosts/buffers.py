#!/usr/bin/env python3
"""Interleaved weights are given back as they were: buffers.py PLUGIN DIRECTORY-OF-GGML (scripts/fetch-oracle.sh)"""
import ctypes
import glob
import os
import random
import sys
from ctypes import POINTER, c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p

plugin, directory = sys.argv[1:]
os.environ["BLOCQ_BUFFER"] = "interleave"
WEIGHTS = 1
# type, elements and bytes of a block
FORMATS = {"q4_0": (2, 32, 18), "q5_1": (7, 32, 24), "q4_k": (12, 256, 144), "q6_k": (14, 256, 210), "mxfp4": (39, 32, 17)}


class Parameters(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("memory", c_void_p), ("no_data", c_bool)]


library = ctypes.CDLL(glob.glob(directory + "/libggml.*so*")[0], mode=ctypes.RTLD_GLOBAL)


def function(name, result, *arguments):
    f = getattr(library, "ggml_" + name)
    f.restype, f.argtypes = result, arguments
    return f


function("backend_load_all_from_path", None, c_char_p)(directory.encode())
registration = function("backend_load", c_void_p, c_char_p)(plugin.encode())
assert registration, "the plug-in was not loaded"
device = function("backend_reg_dev_get", c_void_p, c_void_p, c_size_t)(registration, 0)
buffer_type = function("backend_dev_buffer_type", c_void_p, c_void_p)(device)
context = function("init", c_void_p, Parameters)(Parameters(1 << 20, None, True))
new_tensor = function("new_tensor_3d", c_void_p, c_void_p, c_int, c_int64, c_int64, c_int64)
view = function("view_2d", c_void_p, c_void_p, c_void_p, c_int64, c_int64, c_size_t, c_size_t)
tensor_set = function("backend_tensor_set", None, c_void_p, c_char_p, c_size_t, c_size_t)
tensor_get = function("backend_tensor_get", None, c_void_p, c_char_p, c_size_t, c_size_t)
data_of = function("get_data", c_void_p, c_void_p)

ROWS, MATRICES = 24, 2
chance = random.Random(3)
tensors = {name: new_tensor(context, kind, 512, ROWS, MATRICES) for name, (kind, _, _) in FORMATS.items()}
views = {name: view(context, tensors[name], 512, 8, size * 512 // n, 8 * size * 512 // n)
         for name, (_, n, size) in FORMATS.items()}
buffer = function("backend_alloc_ctx_tensors_from_buft", c_void_p, c_void_p, c_void_p)(context, buffer_type)
function("backend_buffer_set_usage", None, c_void_p, c_int)(buffer, WEIGHTS)


def get(tensor, offset, size):
    to = ctypes.create_string_buffer(size)
    tensor_get(tensor, to, offset, size)
    return to.raw


for name, (_, n, size) in FORMATS.items():
    row, tensor = 512 // n * size, tensors[name]
    data = bytearray(chance.randbytes(row * ROWS * MATRICES))
    tensor_set(tensor, bytes(data), 0, len(data))
    assert ctypes.string_at(data_of(tensor), len(data)) != data, f"{name}: nothing was interleaved"
    assert get(tensor, 0, len(data)) == data, f"{name}: other bytes come back"
    assert get(tensor, 5 * row + 3, 100) == data[5 * row + 3:5 * row + 103], f"{name}: a part"
    assert get(views[name], row, 2 * row) == data[9 * row:11 * row], f"{name}: a view"
    change = chance.randbytes(77)
    tensor_set(tensor, change, 30 * row + 1, len(change))
    data[30 * row + 1:30 * row + 78] = change
    assert get(tensor, 0, len(data)) == data, f"{name}: after a change of a part"
print("passed")
