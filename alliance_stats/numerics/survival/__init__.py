"""Survival analysis on arrays: risk sets, partial likelihood, frailty, curves, tests, competing risks."""
