"""``python -m kerasal`` and the console script ``kerasal``."""

import os


def main() -> None:
    """Run the command line, without TensorFlow's start-up messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from kerasal.cli import run

    run()


if __name__ == "__main__":
    main()
