"""What a paper says about many checkpoints at once, and whether it holds.

Fits and verdicts on claims; needs no torch.
"""
