# The smallest network for real scans of an HDL-64: unet_street at width 6, 0.2 M parameters. Against unet_street: the width.
_base_ = './unet_street.py'

model = dict(width=6)
