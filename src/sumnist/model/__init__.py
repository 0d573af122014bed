"""The networks, their losses, their files, and a picture of the network of two inputs and two outputs."""
