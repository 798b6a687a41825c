"""Persistence: what rules select goes to a store on disk before it is acknowledged, and comes back when somebody demands it."""
