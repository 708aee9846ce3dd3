"""Kills a served process again and again while people sign up, and looks what became of what they were told."""
