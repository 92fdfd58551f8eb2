"""Blocks of 100 bytes, by number."""


def block(number):
    return b"%099d." % number
