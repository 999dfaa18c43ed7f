"""Cases of operators, family by family: importing one fills `draw.OPERATORS`."""
from . import contractions, elementwise, movement, reductions  # noqa: F401
