"""Input representations: what the encoder reads of a sparse depth map."""
