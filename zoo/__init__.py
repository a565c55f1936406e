"""The models: one file a family, whose docstring is the model card. Installed and imported as ``kerasal.zoo``."""

if __name__ != "kerasal.zoo":
    raise ImportError("The zoo is imported as kerasal.zoo, never as a top-level zoo: write `from kerasal import zoo`.")

from kerasal import _keras as _keras
from kerasal.zoo import alexnet as alexnet
from kerasal.zoo import deep_saliency as deep_saliency
from kerasal.zoo import five_class_cnn as five_class_cnn
from kerasal.zoo import gaze as gaze
from kerasal.zoo import mnist_cnn as mnist_cnn
from kerasal.zoo import salnet as salnet
from kerasal.zoo import shallow_saliency as shallow_saliency
from kerasal.zoo import simonyan_cnn as simonyan_cnn
from kerasal.zoo import vgg as vgg
from kerasal.zoo import zfnet as zfnet
