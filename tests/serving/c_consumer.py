"""Somebody who has TensorFlow's C API alone, as Go, Rust or Java programs do; no TensorFlow in Python.

    python c_consumer.py LIBRARIES MODEL REQUESTS.json REPLIES.npz

A request is {"feeds": {operation: [dtype, shape, hex]}, "fetches": [[name, operation, output number], …]}; its replies
are named ``number/name``, or ``number/error``.
"""

import ctypes
import json
import sys

import numpy as np

folder, model, requests, replies = sys.argv[1:]
framework = ctypes.CDLL(f"{folder}/libtensorflow_framework.so.2", mode=ctypes.RTLD_GLOBAL)
library = ctypes.CDLL(f"{folder}/libtensorflow_cc.so.2", mode=ctypes.RTLD_GLOBAL)
pointer, integer = ctypes.c_void_p, ctypes.c_int
DTYPES = {1: np.float32, 3: np.int32, 4: np.uint8, 7: bytes, 10: np.bool_}
NUMBERS = {"float32": 1, "int32": 3, "uint8": 4, "object": 7}


class Output(ctypes.Structure):
    _fields_ = (("operation", pointer), ("index", integer))


def function(name, result, *arguments):
    where = library if hasattr(library, name) else framework
    found = getattr(where, name)
    found.restype, found.argtypes = result, arguments
    return found


new_status = function("TF_NewStatus", pointer)
code = function("TF_GetCode", integer, pointer)
message = function("TF_Message", ctypes.c_char_p, pointer)
new_graph = function("TF_NewGraph", pointer)
new_options = function("TF_NewSessionOptions", pointer)
strings = ctypes.POINTER(ctypes.c_char_p)
load = function(
    "TF_LoadSessionFromSavedModel",
    *(pointer, pointer, pointer, ctypes.c_char_p, strings, integer, pointer, pointer, pointer),
)
operation = function("TF_GraphOperationByName", pointer, pointer, ctypes.c_char_p)
shapes = ctypes.POINTER(ctypes.c_int64)
allocate = function("TF_AllocateTensor", pointer, integer, shapes, integer, ctypes.c_size_t)
data = function("TF_TensorData", pointer, pointer)
kind = function("TF_TensorType", integer, pointer)
sides = function("TF_NumDims", integer, pointer)
side = function("TF_Dim", ctypes.c_int64, pointer, integer)
outputs = ctypes.POINTER(Output)
tensors = ctypes.POINTER(pointer)
run = function(
    "TF_SessionRun",
    *(None, pointer, pointer, outputs, tensors, integer, outputs, tensors, integer, pointer, integer, pointer, pointer),
)

kept = []


def tensor(dtype, shape, contents):
    """Make a tensor; a string is a view of 16 bytes in a slot of 24: its length and its type (3), and where it is."""
    raw = bytes.fromhex(contents)
    if dtype == "object":
        kept.append(ctypes.create_string_buffer(raw, len(raw)))
        raw = np.array([len(raw) << 2 | 3, ctypes.addressof(kept[-1]), 0], np.uint64).tobytes()
    made = allocate(NUMBERS[dtype], (ctypes.c_int64 * len(shape))(*shape), len(shape), len(raw))
    ctypes.memmove(data(made), raw, len(raw))
    return made


def array(one):
    dtype, shape = DTYPES[kind(one)], [side(one, i) for i in range(sides(one))]
    if dtype is bytes:
        return None  # the labels; numbers are enough here
    values = np.ctypeslib.as_array(ctypes.cast(data(one), ctypes.POINTER(ctypes.c_uint8)), shape=(10**9,))
    return values[: int(np.prod(shape)) * np.dtype(dtype).itemsize].view(dtype).reshape(shape).copy()


status, graph = new_status(), new_graph()
session = load(new_options(), None, model.encode(), (ctypes.c_char_p * 1)(b"serve"), 1, graph, None, status)
assert code(status) == 0, message(status)
found = {}
with open(requests) as file:
    asked = json.load(file)
for number, request in enumerate(asked):
    feeds = [(Output(operation(graph, key.encode()), 0), tensor(*value)) for key, value in request["feeds"].items()]
    fetches = [Output(operation(graph, where.encode()), index) for _, where, index in request["fetches"]]
    assert all(one.operation for one, _ in feeds) and all(one.operation for one in fetches)
    results = (pointer * len(fetches))()
    status = new_status()
    run(
        *(session, None),
        *((Output * len(feeds))(*(one for one, _ in feeds)), (pointer * len(feeds))(*(one for _, one in feeds))),
        *(len(feeds), (Output * len(fetches))(*fetches), results, len(fetches), None, 0, None, status),
    )
    if code(status):
        found[f"{number}/error"] = np.array(message(status).decode(errors="replace"))
        continue
    values = {name: array(one) for (name, _, _), one in zip(request["fetches"], results, strict=True)}
    found |= {f"{number}/{name}": value for name, value in values.items() if value is not None}
with open(replies, "wb") as file:
    np.savez(file, **found)
