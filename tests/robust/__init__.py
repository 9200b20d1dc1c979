"""Attackers who write into alerts, and models that do what they say."""
