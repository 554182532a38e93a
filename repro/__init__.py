"""Proves that released model weights still score what was published.

Importing this package is cheap on purpose: pytest loads the plugin in every project
where it is installed. Import what you need from the rooms below it, for example
`repro.published` (what was published) or `repro.evaluation` (how it is measured).
"""
