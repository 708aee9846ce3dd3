"""What browsers load: the client module, and the demo page that shows it at work."""
