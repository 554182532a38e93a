"""Released folders become a checkpoints directory: links, downloads, archives."""
