"""Rows of published tables, and what is read from them."""

from __future__ import annotations

from repro.cases import Case

from ..releases import Tables, release_toml

#: Rows of the published tables, and one of a checkpoint that nobody has.
TIMM = """\
model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation
eva_giant_patch14_560.m30m_ft_in22k_in1k,560,89.790,10.210,98.990,1.010,"1,014.45",1.000,bicubic
resnet50.a1_in1k,288,81.206,18.794,95.374,4.626,25.56,1.000,bicubic
resnet50.a1_in1k,224,80.210,19.790,94.700,5.300,25.56,0.950,bicubic
inception_resnet_v2.tf_in1k,299,80.460,19.540,95.310,4.690,55.84,0.897,bicubic
nonet.from_2019,224,70.000,30.000,90.000,10.000,1.00,0.875,bilinear
"""
OPEN_CLIP = """\
name,pretrained,params (M),FLOPs (B),Average perf. on 38 datasets,ImageNet 1k
ViT-H-14-378-quickgelu,dfn5b,986.71,1054.05,0.7079,0.8437
ViT-B-16-SigLIP-512,webli,203.79,227.26,0.6459,0.7914
ViT-B-32,laion400m_e32,151.28,14.78,0.5067,0.6020
ViT-Q,nowhere,1.0,1.0,0.1,0.1000
"""


def numbers(case: Case) -> dict[str, str]:
    """Give the published numbers of a case by metric, as printed."""
    return {str(r.metric): str(r.published) for r in case.references}


def _dataset(title: str, folder: str) -> Tables:
    return {
        "title": title,
        "folder": folder,
        "classes": ["a", "b"],
        "images": 10_000,
    }


_OF_CIFAR = {
    "model": "m",
    "training_data": "CIFAR",
    "protocols": ["plain"],
    "datasets": ["c10"],
}
#: A release that printed tables are entered into.
RELEASE = release_toml(
    release={"id": "small", "title": "Small"},
    source={
        "paper": {"title": "Small, Table 1", "url": "https://example.org/paper"},
        "readme": {"title": "Small, README", "url": "https://example.org/readme"},
    },
    dataset={
        "c10": _dataset("CIFAR-10", "c10"),
        "c100": _dataset("CIFAR-100 (coarse)", "c100"),
    },
    model={"m": {"loader": "timm", "architecture": "resnet18"}},
    family={"cnn/ours": _OF_CIFAR, "cnn/base": _OF_CIFAR},
    reference=[
        {
            "family": "cnn/ours",
            "checkpoint": "8M",
            "dataset": "c10",
            "protocol": "plain",
            "source": "readme",
            "top1": "91.25",
        }
    ],
)
