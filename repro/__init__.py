"""Proves that released model weights still score what was published.

Importing this package is cheap on purpose: pytest loads the plugin in every project
where it is installed. What scripts and tests may import is in `repro.api`, what other
packages need in `repro.extending`; everything else may change.
"""
