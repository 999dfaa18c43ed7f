"""Models of the other families in half precision, and quantised by onnxruntime.quantization."""
from dataclasses import dataclass
from pathlib import Path

from . import Exported, TorchCase
from . import torchvision, transformers

# Each step of a quantised network may fall to the other side of a rounding, and what follows with it.
QUANTIZED_TOLERANCE, HALF_TOLERANCE = 5e-2, 1e-2
IMAGES = ["resnet18", "mobilenet_v2", "efficientnet_b0", "vit_b_32", "convnext_tiny"]
TEXTS = ["bert", "gpt2", "llama", "t5"]
BASES = {case.name: case for case in [*torchvision.CASES, *transformers.CASES]}


def halved(made):
    """The module, and its floats, in half precision."""
    import torch
    part = lambda feed: {name: value.half() if value.dtype == torch.float32 else value for name, value in feed.items()}
    made.module.half()
    made.inputs, made.others, made.tolerance = part(made.inputs), [part(feed) for feed in made.others], HALF_TOLERANCE
    return made


@dataclass
class QuantizedCase:
    """A model of the old exporter with open sizes, quantised: "static" measures its ranges first, "dynamic" at run time."""
    name: str
    base: str

    def variants(self):
        return ["qdq", "qdq_channels", "qoperator", "dynamic_quantization"]

    def export(self, variant: str, path: Path):
        from calibration import Feeds
        from onnxruntime import quantization
        from onnxruntime.quantization import shape_inference
        whole, prepared = path.with_name("float.onnx"), path.with_name("prepared.onnx")
        exported = BASES[self.base].export("torchscript-dynamic", whole)
        shape_inference.quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
        if variant == "dynamic_quantization":
            quantization.quantize_dynamic(str(prepared), str(path), weight_type=quantization.QuantType.QInt8)
            return Exported(exported.feeds, QUANTIZED_TOLERANCE, is_rounded=True)

        form = quantization.QuantFormat.QOperator if variant == "qoperator" else quantization.QuantFormat.QDQ
        activations = quantization.QuantType.QUInt8 if variant == "qoperator" else quantization.QuantType.QInt8
        quantization.quantize_static(str(prepared), str(path), Feeds(exported.feeds), quant_format=form, activation_type=activations,
                                     weight_type=quantization.QuantType.QInt8, per_channel=variant == "qdq_channels")
        return Exported(exported.feeds, QUANTIZED_TOLERANCE, is_rounded=True)


CASES = [*(TorchCase(f"{name}_half", lambda name=name: halved(BASES[name].build())) for name in [*IMAGES, *TEXTS]),
         *(QuantizedCase(f"{name}_int8", name) for name in [*IMAGES, *TEXTS])]
