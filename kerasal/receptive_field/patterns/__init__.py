"""What a unit's receptive field prefers: patterns by backward passes, how they spread, and whether they hold."""
