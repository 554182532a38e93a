"""EfficientNet-Lite0 of the package efficientnet-lite-pytorch, which builds it."""

from efficientnet_lite_pytorch import EfficientNet


def lite0():
    """Build it, without weights."""
    return EfficientNet.from_name("efficientnet-lite0")
