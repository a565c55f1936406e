"""Which images excite a unit most, what of them, and how that changes while a model is trained."""
