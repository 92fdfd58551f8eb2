"""Blocks in an object store: Amazon S3 and compatibles, Google Cloud Storage, Azure."""
