"""Eyrie's runtime: loads compiled modules (.eyr) and calls their functions with NumPy arrays."""
from ._native import Error
from .runtime import Function, Instance, Module, Value

__all__ = ["Error", "Function", "Instance", "Module", "Value"]
