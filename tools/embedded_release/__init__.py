"""Makes the embedded release: handwritten digits, drawn digits, small models."""
