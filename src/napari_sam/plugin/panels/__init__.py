"""What the dock widget shows: widgets and their layout, no logic."""
