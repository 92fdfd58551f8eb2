"""Hierarchies, and the CIDs that Kubo gives their plain files in the profile unixfs-v1-2025."""

LARGE = b"".join(number.to_bytes(4, "little") for number in range(700_000))
MIB = 1 << 20


def chunks(count):
    return {f"{number}": b"%d" % (number % 50) for number in range(count)}


def edge(size, names, keys):
    """Return names for a directory block of exactly a size, given that 56 characters take 100."""
    longer, rest = (size - 4) % 100, (size - 4) // 100
    return {
        f"{number:0{names + (number < longer)}}{keys}": b"x" * (200 if keys else 1)
        for number in range(rest)
    }


CASES = {
    "empty": ({}, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"),
    "metadata": (
        {
            ".zgroup": b'{\n  "zarr_format": 2\n}',
            ".zattrs": '{"b": 1.50, "a": ["é", -0.0]}'.encode(),
            "a/zarr.json": b'{"fill_value": NaN}',
            "a/c/0/0": b"chunk",
            "a/c/0/1": b"chunk",
            "b/.zattrs": b'{"text": "%s"}' % (b"x" * 9000),
        },
        "bafybeidq7jnj3j76mtnjbawha24mf26h3r3ekgkf5fm35rjx3wpk5bo6ei",
    ),
    "names": (
        {
            "süß/a b/é\u0301": b"1",
            "süß/ ": b"2",
            "süß/%41?#&": b"3",
            "süß/日本語": b"",
            "süß/😀": b"4",
            "süß/a\\b": b"5",
            "süß/-n": b"6",
            "süß/A": b"7",
            "süß/a": b"8",
            "süß/a.b": b"9",
            "süß/dir/b": b"10",
        },
        "bafybeiegr3pwhvv67l5wboidk4bntfkh35joxqv7va7skufacgkppkscl4",
    ),
    "sizes": (
        {
            "none": b"",
            "one": LARGE[:MIB],
            "more": LARGE[: MIB + 1],
            "two/even": LARGE[: 2 * MIB],
            "two/large": LARGE,
        },
        "bafybeibrltt24ibnsokq5klypdom6dh4nkdxdbfidriklvh6e5wwwqs3mu",
    ),
    "deep": (
        {"/".join("abcdefgh" * 4): b"down", "a/b/x": b"up"},
        "bafybeige3silyy5cvnp3qovbje6xiaz6tova4jzed6ygjlw52djqdyhdoq",
    ),
    "at the threshold": (
        edge(256 << 10, 56, ""),
        "bafybeigwteua454ft52bhycvzvhpvjr4mmmt6kb5hju7owava7l5vuw4sy",
    ),
    "over the threshold": (
        edge((256 << 10) + 1, 56, ""),
        "bafybeieo2m7adm3uillwtw5utcdglmlaj6n3haispbxqibru7pqwyvcfnu",
    ),
    "directories at the threshold": (
        edge(256 << 10, 55, "/c"),
        "bafybeibhrrtoj5auzb3qi47sh7iw4k4v3wov4u5ih4h72alhypbmjgn6xe",
    ),
    "directories over the threshold": (
        edge((256 << 10) + 1, 55, "/c"),
        "bafybeieoodkdq4qgp5pnh5f3wxjtndmdldnhbcq6xxv5ylzeae6dpulkbe",
    ),
    "shards in shards": (
        {f"a/b/{key}": data for key, data in chunks(6000).items()}
        | {"a/one": b"", ".zgroup": b"{}"},
        "bafybeigulhq5kf5otzjdf4hupnr32f6j7fvpyoppltuq3vre5kqrnby4ye",
    ),
}
