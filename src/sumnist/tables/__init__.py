"""Tables that others wrote: rows and columns of numbers on any page, checked by what holds among them."""
