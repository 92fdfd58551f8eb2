"""Block stores that count what is asked of them, or fail when they are told to."""

from ipldstore import BackendError, ContentAddressableStore, MappingCAStore
from ipldstore.cid import DAG_CBOR, DAG_PB, RAW, codec_of


class CountingStore(MappingCAStore):
    """Notes the codec of each block that is put, and the CID of each that is loaded."""

    def __init__(self):
        super().__init__({})
        self.reset()

    def reset(self):
        self.puts = []
        self.gets = []

    def put_block(self, cid, data):
        self.puts.append({RAW: "raw", DAG_PB: "dag-pb", DAG_CBOR: "dag-cbor"}[codec_of(cid)])
        super().put_block(cid, data)

    def get_raw(self, cid):
        self.gets.append(str(cid))
        return super().get_raw(cid)


class FailingStore(MappingCAStore):
    """Fails each put, from a number of further ones on, and each get while `gets_fail`."""

    def __init__(self):
        super().__init__({})
        self.puts_left = None
        self.gets_fail = False

    def put_block(self, cid, data):
        if self.puts_left is not None:
            if not self.puts_left:
                raise BackendError("no space left", retryable=True)
            self.puts_left -= 1
        super().put_block(cid, data)

    def get_raw(self, cid):
        if self.gets_fail:
            raise BackendError("out of reach", retryable=True)
        return super().get_raw(cid)


class BareStore(ContentAddressableStore):
    """The least that a user may write: a missing block is a bare KeyError."""

    def __init__(self):
        super().__init__()
        self.blocks = {}

    def get_raw(self, cid):
        return self.blocks[cid]

    def put_block(self, cid, data):
        self.blocks[cid] = bytes(data)
