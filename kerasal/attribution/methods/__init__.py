"""One module per attribution method. A new method is a new module here and an import in ``kerasal.attribution``."""
