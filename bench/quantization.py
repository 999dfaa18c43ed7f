"""The models of the list in 8 bits, as ONNX Runtime's own tool makes them."""
from catalogue import inputs_of, path_of

FORMS = {
    "int8": "QDQ: activations u8 with ranges measured on the model's inputs, weights s8 per channel",
    "dynamic": "matrix products alone, activations u8 with ranges measured at run time, weights s8",
}


def quantized(name, form, folder):
    """The path of model `name` in a form."""
    from calibration import Feeds
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference
    prepared, path = folder / f"{name}.prepared.onnx", folder / f"{name}.{form}.onnx"
    shape_inference.quant_pre_process(str(path_of(name)), str(prepared), skip_symbolic_shape=True)
    if form == "dynamic":
        quantization.quantize_dynamic(str(prepared), str(path), weight_type=quantization.QuantType.QInt8)
        return path
    quantization.quantize_static(str(prepared), str(path), Feeds(inputs_of(name)), quant_format=quantization.QuantFormat.QDQ,
                                 per_channel=True, activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8)
    return path
