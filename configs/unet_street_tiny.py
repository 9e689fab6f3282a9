# The smallest network for real scans of an HDL-64: unet_street at width 6, 0.2 M parameters. Against unet_street: the width.
# One run, 15 minutes of one core: RMSE / MAE 891.7 / 226.9 mm on the real frames of drive 0001.
_base_ = './unet_street.py'

model = dict(width=6)
