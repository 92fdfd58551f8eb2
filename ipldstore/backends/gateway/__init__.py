"""Trustless IPFS gateways as a read-only block store.

What is sent and what answers mean is that of the Trustless Gateway specification of IPFS. The
rules stand in generators that do no input or output themselves (`steps`): the synchronous and the
asynchronous face run the same ones.
"""
