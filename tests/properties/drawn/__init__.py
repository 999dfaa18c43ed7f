"""Cases of operators, family by family: importing one fills `draw.OPERATORS`."""
from . import composed, contractions, elementwise, movement, reductions  # noqa: F401
