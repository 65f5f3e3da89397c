"""Notifications: which Alerts an event concerns, and the requests that tell a Provider. One module per type."""
