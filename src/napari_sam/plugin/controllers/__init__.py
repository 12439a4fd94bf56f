"""What the dock widget does: one capability a file, attached to the layers in hand."""
