# IMTL-G (Liu et al., ICLR 2021) on the street world: equal projections on both gradients; it needs no weights.
# Against aux_image_street: the weighting. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(_delete_=True, type='IMTLG'))
