"""The console: the pages."""
