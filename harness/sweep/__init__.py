"""Sweep: testcases at many settings of many targets, on many machines."""
