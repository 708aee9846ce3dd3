"""The same small shop, served by Powerstrip and by its peers."""
