"""A network that answers without torch, the `Reader` around it, and many pictures into a table."""
