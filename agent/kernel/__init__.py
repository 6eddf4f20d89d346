"""The trusted kernel: it proposes nothing, calls no model itself, and decides everything."""
