"""What only shows after a while: losses under faults, leaks, slow clients, thousands that idle."""
