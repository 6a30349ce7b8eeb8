"""From a file to a checked frame: reading, the declared variables, their codebook, a description."""
