"""How a network is trained and scored."""

from trainers.light_monai import leave_out_of_monai

leave_out_of_monai()
