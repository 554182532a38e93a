"""Images on disk: the index of a dataset, geometry, and the store of decoded pixels."""
