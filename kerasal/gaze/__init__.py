"""Where people look, as a net predicts it: maps for photographs, their scores, and what went wrong with them.

``predict`` makes maps, ``evaluate`` scores them beside the centre and the mean map, ``diagnose`` asks whether a net has
learned more than those. A gaze net takes RGB images and makes one map an image; training one is
``kerasal.training.train_gaze``. (What a score depends on is another thing: ``kerasal.attribution``.)
"""
