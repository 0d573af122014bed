"""Serves readings over HTTP, for `sumnist serve`.

It needs the extra `serve`. It uses the reader, and nothing of the training.
"""
