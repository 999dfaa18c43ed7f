"""Modules, their functions, and instances that call them."""
import ctypes
import os
from ctypes import byref
from dataclasses import dataclass

import numpy as np

from . import _native as native
from . import functions as host
from ._native import Error


@dataclass(frozen=True)
class Value:
    """An input, an output or a state. `shape` has a name (or None) for a size that is known only at run time; `labels`
    say what the indices along the last dimension are (the classes of a classifier's scores), where the model says it."""
    name: str
    type: str
    shape: tuple
    dtype: np.dtype
    _code: int
    labels: tuple = ()

    @staticmethod
    def _of(info: native.ValueInfo):
        if info.is_sequence or info.is_optional or native.type_name(info.type) == b"string":
            kind = "a sequence" if info.is_sequence else "optional" if info.is_optional else "of strings"
            raise Error("UNIMPLEMENTED", f"'{info.name.decode()}' is {kind}, which the Python binding does not hand over; "
                        "use the C interface or `eyrie run`")
        dims = (info.dims[i] for i in range(info.rank))
        shape = tuple(dim.size if dim.size >= 0 else (dim.symbol or b"").decode() or None for dim in dims)
        return Value(info.name.decode(), native.type_name(info.type).decode(), shape,
                     np.dtype(native.type_npy(info.type).decode()), info.type, tuple(native.texts(info.labels)))

    def _tensor(self, array) -> tuple:
        """(the runtime's view of the array, what keeps its memory)."""
        array = np.asarray(array)
        if array.dtype != self.dtype and not self._is_same_bits(array.dtype):
            raise Error("INVALID_ARGUMENT", f"'{self.name}' takes elements of {self.type} (NumPy {self.dtype}), got {array.dtype}")
        if array.ndim > native.MAX_RANK:
            raise Error("INVALID_ARGUMENT", f"'{self.name}' has {array.ndim} dimensions, at most {native.MAX_RANK} are possible")
        array = np.require(array, requirements=["C", "A"])
        dims = (ctypes.c_int64 * native.MAX_RANK)(*array.shape)
        return native.Tensor(array.ctypes.data, array.nbytes, self._code, array.ndim, dims), array

    def _is_same_bits(self, dtype) -> bool:
        """Types that NumPy lacks (bf16, f8) come as their bits, or as types of other packages of the same width."""
        return self.dtype.kind == "u" and not self.type.startswith("u") and dtype.kind == "V" and \
            dtype.itemsize == self.dtype.itemsize

    def _array(self, tensor: native.Tensor):
        """A copy of the runtime's tensor."""
        shape = tuple(tensor.dims[:tensor.rank])
        array = np.empty(shape, self.dtype)
        if array.nbytes:
            ctypes.memmove(array.ctypes.data, tensor.data, array.nbytes)
        return array


@dataclass(frozen=True)
class Function:
    """A function of a module: `inputs` and `outputs` in order.

    `arena_bytes`: the memory that a call needs besides states, None if it depends on sizes; `arena_bound`: no call needs
    more, None if sizes are not bounded (`--shape batch=1..64`).
    """
    name: str
    inputs: tuple
    outputs: tuple
    _index: int
    arena_bytes: int | None = None
    arena_bound: int | None = None


class Module:
    """A compiled module. `threads`: 1 runs in the caller's thread; None takes all processors that the process may use.

    `parameters`: files with the weights of a module that was compiled without them; the last that has a tensor gives it.
    `functions`: those that the module calls (compiled with `--host-op`), by name. Each takes its inputs as arrays, which
    are read-only and the runtime's, to be copied if they are kept, and the node's attributes as keywords; it gives an
    array, or a tuple of them, of the types and shapes that the signature says. It is called in the thread of the call.
    `plugins`: shared libraries with such functions.
    `cpu`: one of the processors that the module was compiled for, by its name: the code that it would get is taken,
    instead of the best that this machine can run.
    """

    def __init__(self, path, threads=None, parameters=(), functions=None, plugins=(), cpu=None):
        self._module = self._runtime = None
        self._raised = host.Raised()
        options = native.RuntimeOptions(ctypes.sizeof(native.RuntimeOptions))
        options.threads = 0xFFFFFFFF if threads is None else threads
        self._runtime = native.made(native.runtime_create, byref(options))
        self._kept = host.add(self._runtime, functions, plugins, self._raised)
        files = []
        try:
            for file in parameters:
                files.append(native.made(native.parameters_open, self._runtime, os.fsencode(file), None))
            handles = (ctypes.c_void_p * len(files))(*(file.value for file in files))
            module_options = native.ModuleOptions(ctypes.sizeof(native.ModuleOptions), parameters=handles,
                                                  parameter_count=len(files), cpu=cpu.encode() if cpu else None)
            self._module = native.made(native.module_load_file, self._runtime, os.fsencode(path), byref(module_options))
        finally:
            for file in files:
                native.parameters_destroy(file)
        self.states = tuple(self._values(lambda i, info: native.module_state(self._module, i, byref(info))))

    def __del__(self):
        if self._module:
            native.module_destroy(self._module)
        if self._runtime:
            native.runtime_destroy(self._runtime)

    @staticmethod
    def _values(get):
        """All that an indexed function of the reflection gives."""
        index, info = 0, native.ValueInfo()
        while True:
            try:
                get(index, info)
            except Error as error:
                if error.code != "NOT_FOUND":
                    raise
                return
            yield Value._of(info)
            index += 1

    @property
    def cpus(self) -> dict:
        """Names of the processors that the module was compiled for, best first: whether this machine has all of theirs."""
        info = native.CpuInfo()
        cpus = {}
        while True:
            try:
                native.module_cpu(self._module, len(cpus), byref(info))
            except Error as error:
                if error.code != "NOT_FOUND":
                    raise
                return cpus
            cpus[info.name.decode()] = bool(info.is_usable)

    @property
    def functions(self) -> tuple:
        info = native.ModuleInfo()
        native.module_get_info(self._module, byref(info))
        return tuple(map(self._function, range(info.function_count)))

    def function(self, name="") -> Function:
        """The function of that name; without one, the only one or `main`."""
        index = ctypes.c_uint32()
        native.module_find(self._module, name.encode(), byref(index))
        return self._function(index.value)

    def _function(self, index):
        info = native.FunctionInfo()
        native.module_function(self._module, index, byref(info))
        inputs = self._values(lambda i, value: native.module_argument(self._module, index, i, byref(value)))
        outputs = self._values(lambda i, value: native.module_result(self._module, index, i, byref(value)))
        return Function(info.name.decode(), tuple(inputs), tuple(outputs), index,
                        *(None if size < 0 else size for size in (info.arena_bytes, info.upper_bound)))

    def instance(self, arena_bytes=None) -> "Instance":
        """Memory and states of their own, for calls one after the other. `arena_bytes`: so much memory for transients and
        states is allocated now, and never more; a call that needs more fails."""
        return Instance(self, arena_bytes)


def _unfolded(inputs: dict, f: Function) -> dict:
    """Inputs with each map, a dict here, as its keys and its values."""
    types = {value.name: value.dtype for value in f.inputs}
    arrays = {}
    for name, value in inputs.items():
        parts = {f"{name}.keys": value.keys(), f"{name}.values": value.values()} if isinstance(value, dict) else {}
        if parts and parts.keys() <= types.keys():
            arrays.update((part, np.array(list(elements), types[part])) for part, elements in parts.items())
        else:
            arrays[name] = value
    return arrays


class Instance:
    """Calls functions of a module, and keeps its states from call to call."""

    def __init__(self, module: Module, arena_bytes=None):
        self._instance = None
        self.module = module
        self._functions = {}
        options = native.InstanceOptions(ctypes.sizeof(native.InstanceOptions))
        if arena_bytes is not None:
            self._memory = ctypes.create_string_buffer(arena_bytes + native.ARENA_ALIGNMENT)
            address = ctypes.addressof(self._memory)
            options.arena = address + -address % native.ARENA_ALIGNMENT
            options.arena_size = arena_bytes
        self._instance = native.made(native.instance_create, module._module, byref(options))

    def __del__(self):
        if self._instance:
            native.instance_destroy(self._instance)

    def __call__(self, inputs: dict, function="", timeout=None) -> dict:
        """Outputs by name for arrays by name; a map may be given as a dict by its own name. `timeout` in seconds."""
        if function not in self._functions:
            self._functions[function] = self.module.function(function)
        f = self._functions[function]
        inputs = _unfolded(inputs, f)
        wanted, given = [value.name for value in f.inputs], list(inputs)
        if sorted(wanted) != sorted(given):
            raise Error("INVALID_ARGUMENT", f"function '{f.name}' takes the inputs {wanted}, got {given}")
        tensors, kept = zip(*(value._tensor(inputs[value.name]) for value in f.inputs)) if f.inputs else ((), ())
        arguments = (native.Tensor * len(tensors))(*tensors)
        results = (native.Tensor * len(f.outputs))()
        options = native.CallOptions(ctypes.sizeof(native.CallOptions), 0 if timeout is None else max(1, int(timeout * 1e9)))
        self._run(f, arguments, results, options)
        del kept
        return {value.name: value._array(result) for value, result in zip(f.outputs, results)}

    def _run(self, f, arguments, results, options):
        raised = self.module._raised
        raised.take()
        try:
            native.call(self._instance, f._index, arguments, len(arguments), results, len(results), byref(options))
        except Error as error:
            cause = raised.take()
            if cause is not None and not isinstance(cause, Exception):
                raise cause  # KeyboardInterrupt, SystemExit
            raise error from cause

    def _state(self, name) -> int:
        for index, value in enumerate(self.module.states):
            if value.name == name:
                return index
        raise Error("NOT_FOUND", f"the module has no state '{name}'; it has {[value.name for value in self.module.states]}")

    def state(self, name):
        """A copy of a state, in the model's order."""
        index = self._state(name)
        tensor = native.Tensor()
        native.state_get(self._instance, index, byref(tensor))
        array = np.empty(tuple(tensor.dims[:tensor.rank]), self.module.states[index].dtype)
        tensor.data, tensor.size_bytes = array.ctypes.data, array.nbytes
        native.state_get(self._instance, index, byref(tensor))
        return array

    def set_state(self, name, array):
        index = self._state(name)
        tensor, kept = self.module.states[index]._tensor(array)
        native.state_set(self._instance, index, byref(tensor))
        del kept

    def reset(self):
        """All states begin again: zeros, and 0 for sizes that are open."""
        native.state_reset(self._instance)

    def reserve(self, name, shape):
        """Memory for a state of this shape: up to it the state grows in place."""
        index = self._state(name)
        if len(shape) != len(self.module.states[index].shape):
            raise Error("INVALID_ARGUMENT", f"state '{name}' has {len(self.module.states[index].shape)} dimensions, got {len(shape)}")
        native.state_reserve(self._instance, index, (ctypes.c_int64 * max(1, len(shape)))(*shape))

    def save(self) -> bytes:
        """All states, for `restore`."""
        size = ctypes.c_size_t()
        native.state_save(self._instance, None, 0, byref(size))
        data = ctypes.create_string_buffer(size.value)
        native.state_save(self._instance, data, size.value, byref(size))
        return data.raw

    def restore(self, data: bytes):
        """All states of a `save`; or none, if it fails."""
        native.state_restore(self._instance, data, len(data))

    @property
    def stats(self) -> dict:
        """Counters of the runtime: calls, dispatches of the last call, bytes held and moved."""
        stats = native.InstanceStats()
        native.instance_get_stats(self._instance, byref(stats))
        return {name: getattr(stats, name) for name, _ in stats._fields_ if name != "rest"}
