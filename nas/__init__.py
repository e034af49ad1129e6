"""Which network is best."""

import trainers  # noqa: F401  # before anybody imports MONAI, see trainers/light_monai.py
