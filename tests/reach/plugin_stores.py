"""Block stores as another package would bring them, through entry points."""

from ipldstore import MappingCAStore

kept = MappingCAStore()


def open_kept(url, **options):
    if options:
        raise TypeError(f"no option {sorted(options)}")
    return kept


def open_text(url):
    return url
