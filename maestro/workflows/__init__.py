"""Workflows that ship with Maestro: real programs on real data, launched as users launch theirs."""
