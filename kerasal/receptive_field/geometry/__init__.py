"""Size, stride and position of receptive fields, computed from the operations of the traced model."""
