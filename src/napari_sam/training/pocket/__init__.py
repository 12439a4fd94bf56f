"""Training of the embedded network: crops, synthetic images, losses, and its scores."""
