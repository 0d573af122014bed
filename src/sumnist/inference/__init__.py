"""The networks that answer without torch, and the `Reader` around them."""
