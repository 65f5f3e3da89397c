"""Webhooks: who sent them (verify), what they say (decode), and whom they wake. One module per kind of sender."""
