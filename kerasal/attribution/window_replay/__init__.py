"""The parts of occlusion: the grid of windows, what fills them, and the recomputation of what a window changes.

Windows have any number of axes. Only maps of images, with two axes, are recomputed in parts.

``windows``      the grid of windows, and inputs with a window filled
``replay_plan``  a traced graph -> a list of steps, each on the part of a map that a window changes or on the whole map
``replay``       the steps, run for many windows at once on the cached activations of the clean image
``window_loop``  the loop over all windows of a batch, the two ways of running the model, and the measures
"""
