"""What the suffixes of files promise."""

from __future__ import annotations

NETCDF = frozenset({".nc", ".nc4", ".netcdf", ".cdf", ".h5", ".hdf5", ".he5"})
ZIP = ".zip"
ZARR = ".zarr"
ARCHIVE = ".car"
OTHERS = frozenset(
    {
        *(".npy", ".npz", ".mat", ".pkl", ".pickle", ".hdf", ".h4", ".hdf4"),
        *(".tif", ".tiff", ".png", ".jpg", ".jpeg", ".gif", ".jp2", ".vrt"),
        *(".csv", ".tsv", ".txt", ".json", ".xml", ".html", ".xls", ".xlsx", ".ncml"),
        *(".grib", ".grib2", ".grb", ".grb2", ".bufr", ".parquet", ".feather", ".arrow"),
        *(".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".db", ".sqlite"),
    }
)
FILES = frozenset({*NETCDF, *OTHERS, ZIP, ARCHIVE})
"""Suffixes that no Zarr folder has."""
