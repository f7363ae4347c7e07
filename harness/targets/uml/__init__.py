"""Uml: other Linux kernels as targets, as processes of user-mode-linux."""
