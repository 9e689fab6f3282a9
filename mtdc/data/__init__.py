"""Files to tensors: readers, data sets, transforms, batching."""
