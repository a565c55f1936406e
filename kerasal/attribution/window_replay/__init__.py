"""Occlusion's parts: where the windows stand, what fills them, and how a model is run again where they changed it.

``windows``      the grid of windows, and the pictures with one of them filled
``replay_plan``  a traced graph -> a list of steps, each on the part of a map that a window changes, or on all of it
``replay``       the steps, run for many windows at once over the cached activations of the clean image
``window_loop``  all windows of a batch of images, some at a time: either way of running the model, and the measures
"""
