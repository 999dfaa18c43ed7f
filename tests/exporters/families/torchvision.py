"""torchvision: classification, detection, segmentation, each family once."""
from . import Exportable, TorchCase

# name -> the side of its image; the old exporter needs one that their pooling divides for the first two
CLASSIFICATION = {
    "alexnet": 224, "vgg11_bn": 224, "resnet18": 64, "resnext50_32x4d": 64, "wide_resnet50_2": 64, "densenet121": 64,
    "googlenet": 64, "inception_v3": 96, "mobilenet_v2": 64, "mobilenet_v3_small": 64, "mnasnet0_5": 64,
    "shufflenet_v2_x0_5": 64, "squeezenet1_1": 64, "efficientnet_b0": 64, "efficientnet_v2_s": 64,
    "regnet_y_400mf": 64, "regnet_x_400mf": 64, "convnext_tiny": 64, "swin_t": 64, "swin_v2_t": 64, "vit_b_32": 64,
    "maxvit_t": 224,
}
SEGMENTATION = ["deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "fcn_resnet50", "lraspp_mobilenet_v3_large"]
DETECTION = ["fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "maskrcnn_resnet50_fpn",
             "keypointrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "fcos_resnet50_fpn", "ssd300_vgg16",
             "ssdlite320_mobilenet_v3_large"]


def spread_statistics(module):
    """Gives batch normalisations statistics other than 0 and 1, as a trained model has, and a weight to every branch:
    heads that begin as 0 and scales that begin near it would hide what comes before them."""
    import torch
    for name, weight in module.named_parameters():
        if name.endswith(("layer_scale", "head.weight")) and weight.abs().max() < 1e-5:
            torch.nn.init.uniform_(weight, 0.1, 0.3)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.uniform_(-0.1, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(part.weight, 0.8, 1.2)


def calibrate(module, *inputs):
    """Scales every layer's weights so that what it gives for these inputs has deviation 1: random detectors, whose
    activations explode or vanish, find nothing, or the same score everywhere, and ties have no right order."""
    import torch
    seen = set()

    def scale(layer, _, output):
        if layer in seen:
            return output
        seen.add(layer)
        deviation = output.std()
        if not deviation > 1e-6:
            return output
        layer.weight /= deviation
        bias = 0 if layer.bias is None else layer.bias
        if layer.bias is not None and not isinstance(layer, torch.nn.Linear):
            bias = bias.view(-1, *[1] * (output.dim() - 2))
        return (output - bias) / deviation + bias

    layers = [part for part in module.modules() if isinstance(part, (torch.nn.modules.conv._ConvNd, torch.nn.Linear))]
    hooks = [layer.register_forward_hook(scale) for layer in layers]
    with torch.no_grad():
        module.eval()(*inputs)
    for hook in hooks:
        hook.remove()


def classification(name, side):
    import torch
    import torchvision
    options = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if name == "vit_b_32":
        options = {"image_size": side}
    module = torchvision.models.get_model(name, weights=None, num_classes=10, **options)
    spread_statistics(module)
    image = lambda batch: {"image": torch.randn(batch, 3, side, side)}
    return Exportable(module, image(2), {"image": {0: "batch"}}, [image(3), image(1)])


def segmentation(name):
    import torch
    import torchvision
    net = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=5)
    spread_statistics(net)

    class Output(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, image):
            return self.net(image)["out"]

    image = lambda *shape: {"image": torch.randn(shape[0], 3, *shape[1:])}
    axes = {"image": {0: "batch", 2: "height", 3: "width"}}
    return Exportable(Output(), image(2, 64, 96), axes, [image(1, 96, 64)])


def detection(name):
    import torch
    import torchvision
    fixed = name.startswith("ssd")
    sizes = {} if fixed else {"min_size": 96, "max_size": 160}
    net = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=2 if "keypoint" in name else 4,
                                       **sizes)
    spread_statistics(net)
    image = lambda *shape: {"image": torch.rand(3, *shape)}
    example = image(96, 128)
    calibrate(net, [example["image"]])

    class Lists(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, image):
            found = self.net([image])
            found = found[1] if isinstance(found, tuple) else found
            return tuple(found[0].values())

    axes = {"image": {1: "height", 2: "width"}}
    return Exportable(Lists(), example, axes, [image(112, 96)], 1e-3, by_score=True)


CASES = [*(TorchCase(name, lambda name=name, side=side: classification(name, side)) for name, side in CLASSIFICATION.items()),
         *(TorchCase(name, lambda name=name: segmentation(name)) for name in SEGMENTATION),
         *(TorchCase(name, lambda name=name: detection(name)) for name in DETECTION)]
