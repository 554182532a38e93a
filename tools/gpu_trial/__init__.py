"""Every path that is written for a GPU, run on one, with a verdict each."""
