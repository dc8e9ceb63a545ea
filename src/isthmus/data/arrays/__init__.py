"""Arrays: in memory, in files, and made of images."""
