"""The release that measured values are accepted into; its layout has to stay."""

from __future__ import annotations

PAPER = """\
# The numbers of our paper.
schema = 1

[release]
id = "paper"
title = "A paper"

[source.table]  # page 7
title = "Table 2"
url = "https://example.org"

[dataset.animals]
title = "Animals"
folder = "val"
classes = ["cat", "dog"]
images = 50000

[protocol.plain]
geometry = "rgb|resize(8,bilinear)|center_crop(8)"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
source = "table"

[model.vit]
loader = "timm"
architecture = "vit_tiny_patch16_224"

[family."supervised/real"]
model = "vit"
training_data = "photographs"
protocols = ["plain"]
datasets = ["animals"]

# Measured twice.
[[reference]]
family = "supervised/real"
checkpoint = "1M"
dataset = "animals"
protocol = "plain"
source = "table"
top1 = "70.10"    # in bold

[[reference]]
family = "supervised/real"
checkpoint = "2M"
dataset = "animals"
protocol = "plain"
source = "table"
top1 = "72.00"

# That is all.
"""
