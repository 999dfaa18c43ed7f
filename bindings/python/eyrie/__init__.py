"""Eyrie: compiles models into modules (.eyr), loads them and calls their functions with NumPy arrays."""
from . import images
from ._native import Error
from .compiler import CompileError, CompileWarning, check, compile
from .runtime import Function, Instance, Module, Value

__all__ = ["CompileError", "CompileWarning", "Error", "Function", "Instance", "Module", "Value", "check", "compile",
           "images"]
