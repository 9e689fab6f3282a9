# unet_street with truth of the LiDAR's scans alone, whatever the camera sees, in two frames of five: for scans whose silhouettes lie where
# the sensor saw them, and not the camera. Against unet_street: scan_share, and a folder for these streets. One run of 2660 steps: RMSE / MAE
# 891.5 / 222.3 mm on the real frames of drive 0001.
_base_ = './unet_street.py'

data_root = 'data/street_scans'
street = dict(scan_share=0.4)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
