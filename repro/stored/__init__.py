"""What lies in files of others: tensors and pickles, described and never run."""
