"""General patterns of units: projection to pixels, growth with the clamped value, validation, and comparison."""
