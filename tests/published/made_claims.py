"""A claim of each kind, as text that is appended to a release."""

from __future__ import annotations

COMMON = """
[[claim]]
id = "{kind}"
kind = "{kind}"
text = "It scales."
source = "paper"
dataset = "val"
protocol = "plain"
"""
OWN = {
    "exponent": """family = "supervised/real"
exponent = "0.196"
uncertainty = "0.001"
over = "0.125M..4M"
""",
    "slopes": """order = ["supervised/real", ["supervised/real"]]
over = ["1M..4M", "2M..8M"]
""",
    "saturation": """family = "supervised/real"
before = "1M..4M"
after = "4M..16M"
below = 0.5
""",
    "ordering": """metric = "top1"
order = ["supervised/real", "supervised/real"]
checkpoints = [["2M", "1M"]]
ties = true
""",
}
CLAIMS = {kind: COMMON.format(kind=kind) + own for kind, own in OWN.items()}
