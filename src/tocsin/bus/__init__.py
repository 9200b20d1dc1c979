"""The bell: how one step tells the next that there is work."""
