"""Link every page to the repository that ``setup.cfg`` names as ``url``; without it there is no link."""

import configparser
import pathlib

SETUP = pathlib.Path(__file__).resolve().parents[2] / "setup.cfg"


def on_config(config):
    """Set the address of the repository and the name that is shown for it."""
    metadata = configparser.ConfigParser()
    metadata.read(SETUP, encoding="utf-8")
    if address := metadata["metadata"].get("url"):
        config.repo_url = address
        config.repo_name = "/".join(address.rstrip("/").split("/")[-2:])
    return config
