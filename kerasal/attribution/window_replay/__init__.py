"""Occlusion's parts: where the windows stand, what fills them, and how a model is run again where they changed it.

``windows``  the grid of windows, and the pictures with one of them filled
``spans``    which part of a map a window can influence, through kernels, strides and paddings
``rules``    which operations of a graph are understood, and what each does to such a part
``plan``     a traced graph -> a list of steps, each on a part of a map or on the whole of it
``replay``   the steps, run for many windows at once over the cached activations of the clean image
``running``  all windows of a batch of images, some at a time, with either way of running the model
"""
