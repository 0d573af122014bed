"""Images, digits, numbers, sums: what the network is trained and measured on."""
