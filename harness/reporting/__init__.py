"""Reporting: what a run found, as a file, in the terminal, and for Allure."""
