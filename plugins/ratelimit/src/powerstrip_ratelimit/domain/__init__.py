"""What a limit is and what a decision is: values and rules, no I/O."""
