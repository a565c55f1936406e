"""Top exemplars: the images that activate a channel most, and how its reconstruction changes during training."""
