"""The one thing that setup.cfg cannot say: all packages below kerasal/, and the top-level zoo/ as kerasal.zoo."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["kerasal", "kerasal.*"]), "kerasal.zoo"])
