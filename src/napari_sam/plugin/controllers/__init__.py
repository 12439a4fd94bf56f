"""Controllers of the dock widget: one capability in each file, attached to the current layers."""
