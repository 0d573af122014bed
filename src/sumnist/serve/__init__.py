"""`sumnist serve`: readings over HTTP. Needs the extra `serve`; sees the reader, and nothing of how it was trained."""
