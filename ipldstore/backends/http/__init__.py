"""HTTP with two faces, requests for threads and aiohttp for event loops, bounded in size and time.

Redirects are never followed, bodies are taken uncompressed only, and neither proxies' nor users'
configuration files add credentials.
"""
