"""Weights files, the models that they fit into, and zero-shot text classifiers."""
