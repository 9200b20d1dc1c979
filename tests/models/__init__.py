"""Tests of the router of language models, against real servers that misbehave on request."""
