"""Which loaders there are: the built-in ones and those of other packages.

Another package adds a loader as an entry point of the group `repro.loaders`: its name
there is what `loader` of a model says, its value the class (docs/extending.md).
"""

from __future__ import annotations

from repro.errors import ExpectedError
from repro.extensions import Extensions

LOADERS = Extensions(
    "repro.loaders",
    "loader",
    ExpectedError,
    {
        "timm": "repro.models.libraries.timm:TimmLoader",
        "open_clip": "repro.models.libraries.open_clip:OpenClipLoader",
        "torchvision": "repro.models.libraries.torchvision:TorchvisionLoader",
        "onnx": "repro.models.libraries.onnx:OnnxLoader",
        "python": "repro.models.libraries.python:PythonLoader",
    },
)
