# MGDA (Desideri 2012; Sener and Koltun, NeurIPS 2018) on the street world, of gradients of length 1: else it follows the shorter.
# Against aux_image_street: the weighting. Here: not trained.
_base_ = '../aux_image_street.py'

model = dict(weighting=dict(_delete_=True, type='MGDA', normalize=True))
