"""What onnxruntime.quantization measures ranges on."""
from onnxruntime import quantization


class Feeds(quantization.CalibrationDataReader):
    """The given inputs, each a dictionary of arrays by name, once."""

    def __init__(self, feeds):
        self.left = list(feeds)

    def get_next(self):
        return self.left.pop() if self.left else None
