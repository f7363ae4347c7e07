"""LwIP: the lightweight IP stack, from the library of the system's package."""
