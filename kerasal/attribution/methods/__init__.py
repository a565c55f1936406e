"""One file a method. A new one is one more file here, and its line in ``kerasal.attribution``."""
