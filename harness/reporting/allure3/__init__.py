"""Allure 3: the npm package that makes a report of results; installed only when asked for."""
