"""The models: one file a family, whose docstring is the model card. Installed and imported as ``kerasal.zoo``."""

if __name__ != "kerasal.zoo":
    raise ImportError("The zoo is imported as kerasal.zoo, never as a top-level zoo: write `from kerasal import zoo`.")

from kerasal.zoo import deep_saliency as deep_saliency
from kerasal.zoo import five_class as five_class
from kerasal.zoo import gaze as gaze
from kerasal.zoo import krizhevsky as krizhevsky
from kerasal.zoo import mnist as mnist
from kerasal.zoo import salnet as salnet
from kerasal.zoo import shallow_saliency as shallow_saliency
from kerasal.zoo import simonyan as simonyan
from kerasal.zoo import vgg as vgg
from kerasal.zoo import zeiler_fergus as zeiler_fergus
