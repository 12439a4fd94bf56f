"""Panels of the dock widget: widgets and their layout, no logic."""
