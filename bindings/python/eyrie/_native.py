"""include/eyrie/runtime.h as ctypes: the part that the binding uses."""
import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

from . import _library

MAX_RANK = 32
SEQUENCE = 64


class Error(RuntimeError):
    """A call of the runtime failed. `code` is the name of its status, as "INVALID_ARGUMENT"."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("size_bytes", c_size_t), ("type", c_uint32), ("rank", c_uint32),
                ("dims", c_int64 * MAX_RANK)]


class RuntimeOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("allocator", c_void_p * 3), ("threads", c_uint32), ("spin_us", c_uint32)]


class ModuleOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("verify", ctypes.c_int), ("inspect_only", ctypes.c_int),
                ("max_arena_bytes", c_uint64), ("parameters", POINTER(c_void_p)), ("parameter_count", c_size_t),
                ("cpu", c_char_p)]


class CpuInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("format", c_char_p), ("features", c_uint64), ("is_usable", c_int),
                ("rest", c_uint64 * 8)]


class ModuleInfo(ctypes.Structure):
    _fields_ = [("producer", c_char_p), ("target", c_char_p), ("source", c_char_p), ("format_major", c_uint32),
                ("format_minor", c_uint32), ("file_size", c_uint64), ("section_count", c_uint32),
                ("function_count", c_uint32), ("executable_count", c_uint32),
                ("internal_count", c_uint32)]


class FunctionInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("argument_count", c_uint32), ("result_count", c_uint32), ("int_registers", c_uint32),
                ("buffer_registers", c_uint32), ("code_words", c_uint32), ("block_count", c_uint32), ("arena_bytes", c_int64),
                ("total_bytes", c_int64), ("lower_bound", c_int64), ("transient_count", c_uint32), ("upper_bound", c_int64),
                ("rest", c_uint64 * 16)]


class Dim(ctypes.Structure):
    _fields_ = [("size", c_int64), ("symbol", c_char_p)]


class ValueInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("type", c_uint32), ("rank", c_uint32), ("dims", POINTER(Dim)),
                ("is_sequence", c_int), ("any_rank", c_int), ("is_optional", c_int),
                ("labels", c_void_p)]


ARENA_ALIGNMENT = 64


class InstanceOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("profile", ctypes.c_int), ("arena", c_void_p), ("arena_size", c_size_t)]


class CallOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("timeout_ns", c_uint64)]


class InstanceStats(ctypes.Structure):
    _fields_ = [(name, c_uint64)
                for name in ("calls", "arena_bytes", "result_bytes", "dispatches", "state_bytes", "moved_bytes")]
    _fields_ += [("rest", c_uint64 * 16)]


class String(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t)]


class Attribute(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("count", c_size_t), ("is_list", c_int), ("integers", POINTER(c_int64)),
                ("numbers", POINTER(ctypes.c_double)), ("strings", c_void_p)]


class HostCall(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("input_count", c_uint32), ("output_count", c_uint32),
                ("inputs", POINTER(Tensor)), ("outputs", POINTER(Tensor)), ("module", c_void_p), ("function", c_uint32),
                ("state", c_void_p)]


class HostFunctionInfo(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("input_count", c_uint32), ("output_count", c_uint32), ("types", c_void_p),
                ("ranks", c_void_p), ("attribute_count", c_uint32), ("is_built_in", c_int), ("node", c_char_p)]


HostFunction = ctypes.CFUNCTYPE(c_void_p, c_void_p, POINTER(HostCall))


def _find():
    """The shared library: named by $EYRIE_RUNTIME, beside this file, or in the checkout's build."""
    place = _library.find("libeyrie-runtime.so", "EYRIE_RUNTIME")
    return ctypes.CDLL(str(place), mode=ctypes.RTLD_GLOBAL)  # plug-ins find its functions


LIBRARY = _find()


def _declare(name, result, *arguments):
    function = getattr(LIBRARY, "eyrie_" + name)
    function.restype, function.argtypes = result, arguments
    return function


_code = _declare("status_code", c_int, c_void_p)
_message = _declare("status_message", c_char_p, c_void_p)
code_name = _declare("code_name", c_char_p, c_int)
_free = _declare("status_free", None, c_void_p)


def _check(status, function, arguments):
    if status:
        code, message = code_name(_code(status)).decode(), _message(status).decode(errors="replace")
        _free(status)
        raise Error(code, message)


def _checked(name, *arguments):
    """A function that returns a status: raises it as Error."""
    function = _declare(name, c_void_p, *arguments)
    function.errcheck = _check
    return function


version = _declare("version", c_char_p)
type_npy = _declare("type_npy", c_char_p, c_uint32)
type_name = _declare("type_name", c_char_p, c_uint32)
type_bits = _declare("type_bits", c_uint32, c_uint32)
status_create = _declare("status_create", c_void_p, c_int, c_char_p)
attribute_string = _declare("attribute_string", String, POINTER(Attribute), c_size_t)

runtime_create = _checked("runtime_create", POINTER(RuntimeOptions), POINTER(c_void_p))
runtime_destroy = _declare("runtime_destroy", None, c_void_p)
runtime_add_function = _checked("runtime_add_function", c_void_p, c_char_p, HostFunction, c_void_p, c_void_p)
runtime_add_plugin = _checked("runtime_add_plugin", c_void_p, c_char_p)
parameters_open = _checked("parameters_open", c_void_p, c_char_p, c_void_p, POINTER(c_void_p))
parameters_destroy = _declare("parameters_destroy", None, c_void_p)
module_load_file = _checked("module_load_file", c_void_p, c_char_p, POINTER(ModuleOptions), POINTER(c_void_p))
module_destroy = _declare("module_destroy", None, c_void_p)
module_get_info = _declare("module_get_info", None, c_void_p, POINTER(ModuleInfo))
module_cpu = _checked("module_cpu", c_void_p, c_uint32, POINTER(CpuInfo))
module_find = _checked("module_find", c_void_p, c_char_p, POINTER(c_uint32))
module_function = _checked("module_function", c_void_p, c_uint32, POINTER(FunctionInfo))
module_argument = _checked("module_argument", c_void_p, c_uint32, c_uint32, POINTER(ValueInfo))
module_result = _checked("module_result", c_void_p, c_uint32, c_uint32, POINTER(ValueInfo))
module_state = _checked("module_state", c_void_p, c_uint32, POINTER(ValueInfo))
module_host_function = _checked("module_host_function", c_void_p, c_uint32, POINTER(HostFunctionInfo))
module_host_attribute = _checked("module_host_attribute", c_void_p, c_uint32, c_uint32, POINTER(Attribute))
instance_create = _checked("instance_create", c_void_p, c_void_p, POINTER(c_void_p))
instance_destroy = _declare("instance_destroy", None, c_void_p)
instance_get_stats = _declare("instance_get_stats", None, c_void_p, POINTER(InstanceStats))
call = _checked("call", c_void_p, c_uint32, POINTER(Tensor), c_size_t, POINTER(Tensor), c_size_t, POINTER(CallOptions))
state_get = _checked("state_get", c_void_p, c_uint32, POINTER(Tensor))
state_set = _checked("state_set", c_void_p, c_uint32, POINTER(Tensor))
state_reset = _checked("state_reset", c_void_p)
state_reserve = _checked("state_reserve", c_void_p, c_uint32, POINTER(c_int64))
state_save = _checked("state_save", c_void_p, c_char_p, c_size_t, POINTER(c_size_t))
state_restore = _checked("state_restore", c_void_p, c_char_p, c_size_t)


def made(create, *arguments):
    """The handle that a create function gives."""
    handle = c_void_p()
    create(*arguments, byref(handle))
    return handle


def texts(address):
    """Texts that lie behind each other, each ended by a zero byte; an empty one ends them."""
    while address and (text := ctypes.string_at(address)):
        yield text.decode(errors="replace")
        address += len(text) + 1
