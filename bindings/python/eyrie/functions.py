"""Operators that functions of the application compute: models compiled with `--host-op`."""
import ctypes
import os
import threading

import numpy as np

from . import _native as native
from ._native import Error

_CODES = {native.code_name(code).decode(): code for code in range(18)}


class Raised(threading.local):
    """What a function raised in the running call of this thread."""
    exception = None

    def take(self):
        exception, self.exception = self.exception, None
        return exception


def _attribute(found):
    if found.integers:
        values = found.integers[:found.count]
    elif found.numbers:
        values = found.numbers[:found.count]
    else:
        texts = (native.attribute_string(ctypes.byref(found), i) for i in range(found.count))
        values = [ctypes.string_at(text.data, text.size).decode(errors="surrogateescape") for text in texts]
    return list(values) if found.is_list else values[0]


def _attributes(call):
    info = native.HostFunctionInfo()
    native.module_host_function(call.module, call.function, ctypes.byref(info))
    attributes = {}
    for index in range(info.attribute_count):
        found = native.Attribute()
        native.module_host_attribute(call.module, call.function, index, ctypes.byref(found))
        attributes[found.name.decode(errors="surrogateescape")] = _attribute(found)
    return attributes


def _view(tensor):
    """The runtime's memory as an array."""
    if native.type_bits(tensor.type) < 8:
        raise Error("UNIMPLEMENTED", f"elements of {native.type_name(tensor.type).decode()} are packed, which NumPy has no arrays of")
    shape, dtype = tuple(tensor.dims[:tensor.rank]), np.dtype(native.type_npy(tensor.type).decode())
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.frombuffer((ctypes.c_char * tensor.size_bytes).from_address(tensor.data), dtype).reshape(shape)


def _input(tensor):
    array = _view(tensor)
    array.flags.writeable = False
    return array


def _write(index, tensor, result):
    output, result = _view(tensor), np.asarray(result)
    same_bits = result.dtype.kind == "V" and output.dtype.kind == "u" and result.dtype.itemsize == output.dtype.itemsize
    if same_bits:
        result = result.view(output.dtype)
    if (result.shape, result.dtype) != (output.shape, output.dtype):
        raise Error("INVALID_ARGUMENT", f"output {index} is {result.dtype}{list(result.shape)}, expected "
                    f"{output.dtype}{list(output.shape)}")
    output[...] = result


class Function:
    """A Python function as the runtime calls it."""

    def __init__(self, function, raised):
        self._function, self._raised = function, raised
        self.callback = native.HostFunction(self._call)

    def _call(self, _, pointer):
        try:
            call = pointer.contents
            results = self._function(*(_input(call.inputs[i]) for i in range(call.input_count)), **_attributes(call))
            results = results if isinstance(results, (tuple, list)) else (results,)
            if len(results) != call.output_count:
                raise Error("INVALID_ARGUMENT", f"the function gave {len(results)} outputs, expected {call.output_count}")
            for index, result in enumerate(results):
                _write(index, call.outputs[index], result)
        except BaseException as exception:  # nothing may leave through the runtime
            self._raised.exception = exception
            text = str(exception) if isinstance(exception, Error) else f"{type(exception).__name__}: {exception}"
            code = _CODES.get(exception.code, 2) if isinstance(exception, Error) else 2
            return native.status_create(code, text.encode(errors="replace"))
        return None


def add(runtime, functions, plugins, raised) -> list:
    """Adds functions by name, and those of plug-ins; what must live as long as the runtime."""
    kept = []
    for name, function in (functions or {}).items():
        if not callable(function):
            raise Error("INVALID_ARGUMENT", f"'{name}' is no function: {function!r}")
        kept.append(Function(function, raised))
        native.runtime_add_function(runtime, name.encode(), kept[-1].callback, None, None)
    for plugin in plugins:
        native.runtime_add_plugin(runtime, os.fsencode(plugin))
    return kept
