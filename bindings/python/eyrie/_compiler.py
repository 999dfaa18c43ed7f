"""include/eyrie/compiler.h as ctypes: the part that the binding uses. The library is loaded on first use."""
import ctypes
import functools
from ctypes import CFUNCTYPE, POINTER, Structure, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p

from . import _library

OK, FAILED, USAGE = range(3)
FLAG, SHAPE, PAIR, LIST = 3, 4, 5, 6  # eyrie_option_kind_t
KINDS = (None, "tensor", "sequence", "optional")  # eyrie_expand_kind_t


class OptionInfo(Structure):
    _fields_ = [("name", c_char_p), ("kind", c_int), ("letter", c_char), ("value_name", c_char_p),
                ("default_value", c_char_p), ("help", c_char_p)]


class ExpandInput(Structure):
    _fields_ = [("kind", c_int), ("type", c_int32), ("rank", c_int32), ("dims", POINTER(c_int64)), ("data", c_void_p),
                ("size_bytes", c_size_t)]


class ExpandNode(Structure):
    _fields_ = [("place", c_char_p), ("node", c_void_p), ("node_size", c_size_t), ("opset", c_int64),
                ("version", c_int64), ("input_count", c_size_t), ("inputs", POINTER(POINTER(ExpandInput)))]


Expand = CFUNCTYPE(None, c_void_p, POINTER(ExpandNode), c_void_p)
Progress = CFUNCTYPE(None, c_void_p, c_char_p, c_size_t, c_size_t)

FUNCTIONS = {
    "compiler_version": (c_char_p,),
    "compiler_option": (POINTER(OptionInfo), c_size_t),
    "compile_create": (c_void_p,),
    "compile_destroy": (None, c_void_p),
    "compile_set": (c_int, c_void_p, c_char_p, c_char_p),
    "compile_on_progress": (None, c_void_p, Progress, c_void_p),
    "compile_add": (c_int, c_void_p, c_char_p, c_char_p),
    "compile_add_expansion": (c_int, c_void_p, c_char_p, c_char_p, Expand, c_void_p),
    "expansion_give": (None, c_void_p, c_char_p, c_size_t),
    "expansion_fail": (None, c_void_p, c_char_p),
    "compile_run": (c_int, c_void_p, c_char_p, c_char_p),
    "compile_estimate": (c_int, c_void_p, c_char_p),
    "compile_message": (c_char_p, c_void_p),
    "compile_report": (c_char_p, c_void_p),
}


class Library:
    """The functions of the shared library, by their names without the prefix eyrie_."""

    def __init__(self, path):
        library = ctypes.CDLL(str(path))
        for name, (result, *arguments) in FUNCTIONS.items():
            function = getattr(library, "eyrie_" + name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)

    def options(self) -> dict:
        """Rows of the table of options by name."""
        rows, index = {}, 0
        while row := self.compiler_option(index):
            rows[row.contents.name.decode()] = row.contents
            index += 1
        return rows


@functools.cache
def load() -> Library:
    """The library that $EYRIE_COMPILER names, beside this file, or in the checkout's build."""
    return Library(_library.find("libeyrie-compiler.so", "EYRIE_COMPILER"))
