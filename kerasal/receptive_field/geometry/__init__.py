"""Where a unit's receptive field lies: its size, jump and window, read off the model's traced operations."""
