"""Files to tensors: readers, data sets, transforms, batching."""

from .dataset import DepthDataset
from .preprocessor import BatchPreprocessor, unpad
from .sampler import EpochSampler

__all__ = ["BatchPreprocessor", "DepthDataset", "EpochSampler", "unpad"]
