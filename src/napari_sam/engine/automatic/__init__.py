"""Everything in a frame: proposals by a grid of clicks or by seeds, and which of them stand."""
