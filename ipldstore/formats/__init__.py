"""Bytes that others read too: CIDs, DAG-CBOR, CAR archives, JSON, and signs of other files."""
