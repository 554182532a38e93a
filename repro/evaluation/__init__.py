"""Evaluate a classifier on strata of pixels: predictions, image by image."""
